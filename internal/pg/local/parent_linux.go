package local

import "syscall"

// parentDeathSignal says that the kernel tells a child of its parent's death.
const parentDeathSignal = true

// dieWithParent has the kernel ask for a fast shutdown when we die.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGINT }
