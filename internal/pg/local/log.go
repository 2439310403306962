package local

import (
	"io"
	"os"
	"path/filepath"
)

const (
	maxLog  = 16 << 20 // bytes kept before the log is set aside at a start
	maxTail = 8 << 10
)

func (c *Cluster) logPath() string { return filepath.Join(c.dir, "postgres.log") }

// openLog opens the server's log for appending. A long one becomes
// postgres.log.old first, so that two files bound the space.
func (c *Cluster) openLog() (*os.File, error) {
	if info, err := os.Stat(c.logPath()); err == nil && info.Size() > maxLog {
		if err := os.Rename(c.logPath(), c.logPath()+".old"); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(c.logPath(), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
}

// logSince is what the server wrote from byte offset on, cut to its end.
func (c *Cluster) logSince(offset int64) string {
	f, err := os.Open(c.logPath())
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil {
		offset = max(offset, info.Size()-maxTail)
	}
	text, _ := io.ReadAll(io.NewSectionReader(f, offset, maxTail))
	return string(text)
}

func (c *Cluster) logTail() string { return c.logSince(0) }
