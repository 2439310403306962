package local

import (
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"syscall"
)

// watchdogScript waits for the pipe from its parent. A line means that the
// parent has stopped the server itself. An end without a line means that
// the parent died: stop the server, give it 20 s, then remove what was
// to be thrown away.
const watchdogScript = `pid=$1; shift
if ! read -r _; then
	kill -INT "$pid" 2>/dev/null
	n=0
	while kill -0 "$pid" 2>/dev/null && [ $n -lt 200 ]; do sleep 0.1; n=$((n+1)); done
	[ $# -eq 0 ] || rm -rf -- "$@"
fi`

// watchdog starts a small companion that outlives us: it ends the server
// and removes dirs when this process dies without doing so itself.
func watchdog(pid int, dirs []string) (io.WriteCloser, error) {
	args := append([]string{"-c", watchdogScript, "sh", strconv.Itoa(pid)}, dirs...)
	cmd := exec.Command("/bin/sh", args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // deaf to the terminal's Ctrl-C
	life, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	go func() { _ = cmd.Wait() }()
	return life, nil
}

// dismissWatchdog tells the watchdog that there is nothing left to guard.
func (c *Cluster) dismissWatchdog() {
	if c.life == nil {
		return
	}
	_, _ = io.WriteString(c.life, "stopped\n")
	_ = c.life.Close()
	c.life = nil
}

// throwawayDirs is what goes away with the process.
func (c *Cluster) throwawayDirs() []string {
	if !c.opts.Throwaway {
		return nil
	}
	if c.sock == "" || c.sock == c.dir+"/run" {
		return []string{c.dir}
	}
	return []string{c.dir, c.sock}
}
