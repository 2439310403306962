package sla

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// spool is what has been made of a file and not been taken yet, in a file of
// its own. Whoever takes it slowly, or not at all, then holds up neither the
// making nor, through the snapshot that is read from, the cleaning of the
// database; and memory stays the same however far behind he is.
type spool struct {
	file *os.File

	mu     sync.Mutex
	moved  *sync.Cond // more was made, or the making has ended
	made   int64      // bytes in the file
	ended  bool
	failed bool
}

// newSpool makes an empty one. Its file has no name, so that it goes with the
// process whatever becomes of that.
func newSpool() (*spool, error) {
	file, err := os.CreateTemp("", "rescued-export-*")
	if err != nil {
		return nil, fmt.Errorf("a file for the export: %w", err)
	}
	s := &spool{file: file}
	s.moved = sync.NewCond(&s.mu)
	if err := os.Remove(file.Name()); err != nil {
		s.drop()
		return nil, fmt.Errorf("a file for the export: %w", err)
	}
	return s, nil
}

// Write implements io.Writer, for the one who makes it.
func (s *spool) Write(b []byte) (int, error) {
	n, err := s.file.WriteAt(b, s.made) // made is this writer's own
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made += int64(n)
	s.moved.Signal()
	return n, err
}

// end says that nothing more is made, and why if it broke off.
func (s *spool) end(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended, s.failed = true, err != nil
	s.moved.Signal()
	return err
}

// wait gives how much there is once it is more than taken, and whether that
// is all.
func (s *spool) wait(taken int64) (made int64, all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.made == taken && !s.ended {
		s.moved.Wait()
	}
	return s.made, s.ended
}

// takeTo writes all that is made to w, as it is made. Of what broke off it
// writes no more than it has.
func (s *spool) takeTo(w io.Writer) error {
	piece := make([]byte, 64<<10)
	for taken := int64(0); ; {
		made, all := s.wait(taken)
		if all && (s.failed || made == taken) {
			return nil
		}
		n, err := s.file.ReadAt(piece[:min(int64(len(piece)), made-taken)], taken)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if _, err := w.Write(piece[:n]); err != nil {
			return err
		}
		taken += int64(n)
	}
}

func (s *spool) drop() { _ = s.file.Close() }
