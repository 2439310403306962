// Package skipped skips tests of what cannot be had on a machine, loudly: go test
// keeps quiet about what a passing package left out.
package skipped

import (
	"fmt"
	"os"
	"testing"
)

// ReportTo names the environment variable that holds the path of the file to
// which skipped tests are added, a line each. `make test` shows them at its end.
const ReportTo = "RESCUED_TEST_SKIPPED"

// Because skips t; the words say what is missing, and the mend.
func Because(t testing.TB, format string, args ...any) {
	t.Helper()
	why := fmt.Sprintf(format, args...)
	if path := os.Getenv(ReportTo); path != "" {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err == nil {
			_, err = fmt.Fprintf(f, "SKIPPED %s: %s\n", t.Name(), why)
			_ = f.Close()
		}
		if err != nil {
			t.Fatalf("%s: %v", ReportTo, err)
		}
	}
	t.Skip(why)
}
