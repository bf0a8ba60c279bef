package main

import (
	"io"
	"sync"
	"unicode/utf8"

	"github.com/tieback/tieback/human"
)

// safeWriter escapes what a terminal would obey: ids, names and messages come from outside. All
// that people read goes through one; data that another program reads does not.
type safeWriter struct {
	io.Writer

	mu  sync.Mutex // messages, progress and the log share one
	cut []byte     // the beginning of a character whose rest comes with the next Write
}

func (w *safeWriter) Write(text []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	whole := append(w.cut, text...)
	w.cut = nil
	for n := 1; n < utf8.UTFMax && n <= len(whole); n++ {
		if tail := whole[len(whole)-n:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				w.cut, whole = append([]byte(nil), tail...), whole[:len(whole)-n]
			}
			break
		}
	}
	if _, err := io.WriteString(w.Writer, human.Escape(string(whole))); err != nil {
		return 0, err
	}
	return len(text), nil
}
