package main

import "syscall"

// dieWithParent has a process killed with the test that started it, however
// the test ends.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
