package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// progress tells of a long task in lines: nothing in the first seconds, and
// then not more often than somebody would look.
type progress struct {
	mu    sync.Mutex
	out   io.Writer
	task  string
	total int
	unit  string
	next  time.Time
}

const progressEvery = 3 * time.Second

// newProgress begins a task of so many units; 0 when nobody knows how many.
func newProgress(out io.Writer, task string, total int, unit string) *progress {
	return &progress{out: out, task: task, total: total, unit: unit, next: time.Now().Add(progressEvery)}
}

// at says how much is done, and what is under way.
func (p *progress) at(done int, what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if now.Before(p.next) {
		return
	}
	p.next = now.Add(progressEvery)
	if what != "" {
		what = ", " + what
	}
	if p.total == 0 {
		fmt.Fprintf(p.out, "%s: %d %s%s\n", p.task, done, p.unit, what)
		return
	}
	fmt.Fprintf(p.out, "%s: %d of %d %s (%d%%)%s\n", p.task, done, p.total, p.unit, 100*done/p.total, what)
}
