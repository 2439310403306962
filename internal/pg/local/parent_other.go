//go:build !linux

package local

import "syscall"

// parentDeathSignal says that the kernel tells a child of its parent's
// death. Here it does not, so a watchdog does.
const parentDeathSignal = false

func dieWithParent(*syscall.SysProcAttr) {}
