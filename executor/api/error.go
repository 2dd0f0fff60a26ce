package api

import (
	"errors"
	"fmt"
)

// Kind says what sort of failure an Error is. The numbers cross the wire: append only.
type Kind int

// The kinds of errors.
const (
	Internal     Kind = 0  // a bug or a broken machine
	Usage        Kind = 1  // the command line or cyclops.toml is wrong
	Invalid      Kind = 2  // a document or request that cannot be understood
	NotFound     Kind = 3  // no such job, host, file
	Ambiguous    Kind = 4  // a prefix or name of several jobs
	Conflict     Kind = 5  // same id, other job; or a state that forbids it
	Incompatible Kind = 6  // API versions that do not go together
	Unreachable  Kind = 7  // the host does not answer
	HostKey      Kind = 8  // unknown or changed host key
	Auth         Kind = 9  // not let in
	NoExecutor   Kind = 10 // the host has none
	NoSpace      Kind = 11 // disk or quota full
	Draining     Kind = 12 // the host takes no new jobs
	Refused      Kind = 13 // forbidden by a rule of Cyclops
	Changing     Kind = 14 // an input kept changing while it was read
	LostContact  Kind = 15 // the line broke and the outcome is not known
	Corrupt      Kind = 16 // bytes do not match their digest
	Undelivered  Kind = 17 // the job succeeded, its outputs did not arrive
	Cancelled    Kind = 18 // cancelled before it started
	Unsure       Kind = 19 // the host's disk failed while it took the job: whether it has it is not known
)

// Error is a failure as it is told to a person: one line of what failed and one of what to do.
// It crosses the wire as JSON; the cause stays on the side where it happened.
type Error struct {
	Kind    Kind   `json:"kind"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	cause   error
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause, which Message already tells.
func (e *Error) Unwrap() error { return e.cause }

// Errorf makes an Error of a kind with a hint; a %w in format keeps the cause.
func Errorf(kind Kind, hint, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: kind, Message: err.Error(), Hint: hint, cause: errors.Unwrap(err)}
}

// KindOf returns the kind of the first Error in err's chain, or Internal.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// AsError returns the first Error in err's chain, or one of kind Internal that says the same.
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Kind: Internal, Message: err.Error()}
}
