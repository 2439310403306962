package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// mayImport is the map of the house: who may import whom of ours. cmd may
// import everything.
var mayImport = map[string][]string{
	"dispatch":          {"geo", "events", "internal/fault", "internal/fsm", "internal/pg", "internal/web"},
	"sla":               {"events", "internal/fault", "internal/fsm", "internal/pg", "internal/web"},
	"geo":               {},
	"events":            {"internal/pg", "internal/fault"},
	"events/devbroker":  {"events"},
	"events/eventstest": {"events", "events/devbroker"},
	"internal/web":      {"events", "internal/fault", "internal/pg"},
	"internal/fsm":      {"internal/fault"},
	"internal/fault":    {},
	"internal/pg":       {},
	"internal/pg/local": {},
	"internal/pgtest":   {"internal/pg", "internal/pg/local"},
	"internal/skipped":  {},
}

// testsMay is what test files may import besides.
var testsMay = []string{"internal/pgtest", "internal/skipped", "internal/pg", "internal/pg/local", "events/eventstest", "events/devbroker", "internal/web", "internal/fault", "internal/fsm"}

type listed struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string
}

func ours(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports,Deps", "rescued/...").Output()
	require.NoError(t, err)
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else {
			require.NoError(t, err)
		}
		all = append(all, p)
	}
}

func TestImportsFollowTheMap(t *testing.T) {
	t.Parallel()
	for _, p := range ours(t) {
		room := strings.TrimPrefix(p.ImportPath, "rescued/")
		if strings.HasPrefix(room, "cmd/") {
			continue
		}
		allowed, known := mayImport[room]
		require.True(t, known, "%s is not on the map of the house: say in mayImport what it may import", room)
		check := func(imports []string, allowed []string) {
			for _, i := range imports {
				of, mine := strings.CutPrefix(i, "rescued/")
				if mine && of != room {
					require.Contains(t, allowed, of, "%s imports %s", room, of)
				}
			}
		}
		check(p.Imports, allowed)
		tests := slices.Concat(allowed, testsMay)
		check(p.TestImports, tests)
		check(p.XTestImports, tests)
	}
}

func TestSlicesDoNotReachTestParts(t *testing.T) {
	t.Parallel()
	for _, p := range ours(t) {
		if !slices.Contains([]string{"rescued/dispatch", "rescued/sla", "rescued/geo", "rescued/events"}, p.ImportPath) {
			continue
		}
		for _, never := range []string{"rescued/events/devbroker", "rescued/events/eventstest", "rescued/internal/pgtest", "rescued/internal/skipped", "github.com/stretchr/testify/require", "github.com/twmb/franz-go/pkg/kfake"} {
			require.NotContains(t, p.Deps, never, "%s reaches %s outside its tests", p.ImportPath, never)
		}
	}
}
