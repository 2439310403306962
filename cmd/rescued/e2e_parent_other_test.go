//go:build !linux

package main

import "syscall"

// dieWithParent is for Linux; elsewhere a killed test leaves its processes.
func dieWithParent() *syscall.SysProcAttr { return nil }
