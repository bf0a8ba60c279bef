package warehouse

import (
	"testing"
	"time"
)

// A waiter that stood still between the question and the answer has not seen that the holder is silent.
func TestSilenceMustBeSeen(t *testing.T) {
	l := &serverLock{db: &DB{lockExpiry: time.Second}}
	held := lockState{lock: "lock_run_1", holder: "other", signed: time.UnixMilli(1)}
	if l.isFree(held, time.Now()) {
		t.Error("a lock is free at first sight")
	}
	l.seenAt = time.Now().Add(-time.Minute) // as if this process had stood still since
	if l.isFree(held, l.seenAt.Add(time.Second/2)) {
		t.Error("a question that was asked before the silence was over makes the lock free")
	}
	if !l.isFree(held, l.seenAt.Add(2*time.Second)) {
		t.Error("a lock that was not signed for two seconds is not free")
	}
	held.signed = time.UnixMilli(2)
	if l.isFree(held, time.Now()) {
		t.Error("a lock that was signed again is free")
	}
}
