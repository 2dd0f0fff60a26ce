//go:build failpoints && linux

package chaos

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// notices are lines that a command may say although nothing failed.
var notices = regexp.MustCompile(`^cyclops: (lost contact with \S+; trying again|contact with \S+ is back after .*|\d+ bytes of output are missing here: .*)$`)

// nonsense is what no error for people holds.
var nonsense = regexp.MustCompile(`(?i)\bpanic\b|goroutine \d|runtime error|fatal error|<nil>|%!|\binternal\b|context canceled|use of closed`)

// explained asks of everything that a command said whether it tells a person what failed.
func (w *world) explained(r *result) {
	if r.killed || len(r.args) > 0 && r.args[0] == "executor" {
		return
	}
	if why := unexplained(r); why != "" {
		w.wrong("unexplained (%s): %v", why, r)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for line := range strings.Lines(r.stderr) {
		if line = strings.TrimSpace(line); line != "" && !notices.MatchString(line) {
			w.said = append(w.said, fmt.Sprintf("%s: %s", r.args[0], line))
		}
	}
}

// unexplained says what is wrong with what a command said, or nothing.
func unexplained(r *result) string {
	errors := 0
	for line := range strings.Lines(r.stderr) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case nonsense.MatchString(line):
			return "nothing for people"
		case notices.MatchString(line), line == "":
		case strings.HasPrefix(line, "hint: "):
			if errors == 0 {
				return "a hint for nothing"
			}
		case strings.HasPrefix(line, "cyclops: "):
			errors++
			if cause := strings.TrimPrefix(line, "cyclops: "); len(strings.Fields(cause)) < 3 || strings.HasSuffix(cause, ": ") {
				return "no cause"
			}
		default:
			return "neither an error nor a hint"
		}
	}
	ours := r.code == 1 || r.code == 125 || r.code == 255
	if ours && errors == 0 {
		return "it failed and said nothing"
	}
	return ""
}

// The harness itself must see what is not explained.
func TestUnexplainedErrorsAreSeen(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		"cyclops: unable to reach lab: connection refused\n":                                     true,
		"cyclops: unable to reach lab: connection refused\nhint: is it on?\n":                    true,
		"cyclops: lost contact with lab; trying again\ncyclops: unable to read the log: EIO x\n": true,
		"":                                   false,
		"\n":                                 false,
		"cyclops: \n":                        false,
		"cyclops: EOF\n":                     false,
		"hint: try again\n":                  false,
		"unable to reach lab\n":              false,
		"cyclops: unable to do it: <nil>\n":  false,
		"panic: runtime error\n":             false,
		"cyclops: a b c\ngoroutine 1 [run]:": false,
	} {
		if why := unexplained(&result{stderr: text, code: 1}); (why == "") != good {
			t.Errorf("%q: %q", text, why)
		}
	}
}
