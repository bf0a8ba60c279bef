// Package refuse has the error that a person is to blame for, or can do something about. The
// HTTP API, the admin page and the commands show the same one, each in its own way.
package refuse

import (
	"errors"
	"fmt"
)

// Kind of a refusal, for errors.Is.
type Kind string

// The kinds there are.
const (
	Invalid  Kind = "invalid"   // what was given can't be right, whatever is there
	Conflict Kind = "conflict"  // it does not fit what is there
	NotFound Kind = "not found" // what it names is not there
)

func (k Kind) Error() string { return string(k) }

// Error refuses something.
type Error struct {
	Kind    Kind
	Message string // what is wrong, in words that fit a page as well as a terminal
	Hint    string // what to type in a terminal, empty for nothing
	Cause   error  // for errors.Is; nil for none
}

// Error is for a terminal: the message and the hint.
func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Message
	}
	return e.Message + "; " + e.Hint
}

// Unwrap gives the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Cause}
}

// Invalidf refuses what can't be right.
func Invalidf(format string, args ...any) *Error { return newf(Invalid, format, args) }

// Conflictf refuses what does not fit what is there.
func Conflictf(format string, args ...any) *Error { return newf(Conflict, format, args) }

// NotFoundf refuses what names something that is not there.
func NotFoundf(format string, args ...any) *Error { return newf(NotFound, format, args) }

func newf(kind Kind, format string, args []any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Try returns it with what to type in a terminal.
func (e *Error) Try(format string, args ...any) *Error {
	tried := *e
	tried.Hint = fmt.Sprintf(format, args...)
	return &tried
}

// Because returns it with what errors.Is shall find.
func (e *Error) Because(cause error) *Error {
	because := *e
	because.Cause = cause
	return &because
}

// Of returns the refusal in err, nil where there is none.
func Of(err error) *Error {
	var refusal *Error
	if errors.As(err, &refusal) {
		return refusal
	}
	return nil
}
