package skipped_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"rescued/internal/skipped"
)

func TestASkippedTestIsReported(t *testing.T) {
	file := filepath.Join(t.TempDir(), "skipped")
	t.Setenv(skipped.ReportTo, file)
	for _, name := range []string{"one", "two"} {
		t.Run(name, func(t *testing.T) {
			skipped.Because(t, "there is no %s", name)
			t.Error("it went on")
		})
	}
	said, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "SKIPPED TestASkippedTestIsReported/one: there is no one\nSKIPPED TestASkippedTestIsReported/two: there is no two\n", string(said))
}
