package chdb

import (
	"syscall"
	"unsafe"
)

// kernelSigaction is the kernel's struct sigaction on amd64.
type kernelSigaction struct {
	handler, flags, restorer, mask uint64
}

// saveSignalHandlers remembers the handlers of every signal and returns a function
// that puts them back. The library replaces some as it is loaded and started; with
// its SIGSEGV handler in place a Go panic would end the process without a trace.
func saveSignalHandlers() (restore func()) {
	const signals = 64
	var saved [signals + 1]kernelSigaction
	for sig := 1; sig <= signals; sig++ {
		rtSigaction(sig, nil, &saved[sig])
	}
	return func() {
		for sig := 1; sig <= signals; sig++ {
			if sig == int(syscall.SIGKILL) || sig == int(syscall.SIGSTOP) {
				continue
			}
			rtSigaction(sig, &saved[sig], nil)
		}
	}
}

func rtSigaction(sig int, set, old *kernelSigaction) {
	// The kernel can only refuse SIGKILL and SIGSTOP, which are left out.
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig),
		uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), 8, 0, 0)
}
