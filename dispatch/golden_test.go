package dispatch_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	goldenID    = regexp.MustCompile(`\b([a-z]{3})_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`)
	goldenCode  = regexp.MustCompile(`"arrival_code": "[0-9]{4}"`)
	goldenLink  = regexp.MustCompile(`/r/[A-Za-z0-9_-]{43}`)
	goldenTrace = regexp.MustCompile(`"trace_id": "[^"]+"`)
)

// golden compares JSON with testdata/http/name.json. What is drawn by chance
// is replaced: identifiers by the order in which they appear. Set
// RESCUED_GOLDEN=write to write the files; a change of one is a change of the
// wire, which clients must be told of.
func golden(t *testing.T, name, text string) {
	t.Helper()
	var pretty bytes.Buffer
	require.NoError(t, json.Indent(&pretty, []byte(text), "", "  "), text)
	known := map[string]string{}
	got := goldenID.ReplaceAllStringFunc(pretty.String(), func(id string) string {
		if known[id] == "" {
			known[id] = fmt.Sprintf("%s_%d", id[:3], len(known)+1)
		}
		return known[id]
	})
	got = goldenCode.ReplaceAllString(got, `"arrival_code": "0000"`)
	got = goldenLink.ReplaceAllString(got, "/r/token")
	got = goldenTrace.ReplaceAllString(got, `"trace_id": "trace"`)
	path := filepath.Join("testdata", "http", name+".json")
	if os.Getenv("RESCUED_GOLDEN") == "write" {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}
