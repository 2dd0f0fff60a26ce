package remote

import (
	"net"
	"strconv"
	"strings"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// ForwardSpec says which port here leads to which port that the job's host reaches.
type ForwardSpec struct {
	Bind string // address to listen at; empty: this machine alone, "*": every address
	Port int    // 0: one that is free
	To   string // HOST:PORT, as the job's host calls it
}

const specHint = "[BIND:]PORT:HOST:PORT as for ssh -L, for example 3121:localhost:3121"

// ParseForward reads [BIND:]PORT:HOST:PORT as ssh -L does.
func ParseForward(text string) (ForwardSpec, error) {
	words := splitSpec(text)
	if len(words) == 3 {
		words = append([]string{"localhost"}, words...)
	}
	if len(words) != 4 {
		return ForwardSpec{}, api.Errorf(api.Usage, specHint, "%q does not say which port leads where", text)
	}
	s := ForwardSpec{Bind: words[0], To: net.JoinHostPort(words[2], words[3])}
	switch s.Bind {
	case "localhost":
		s.Bind = ""
	case "":
		s.Bind = "*"
	}
	port, err := strconv.ParseUint(words[1], 10, 16)
	if err != nil {
		return s, api.Errorf(api.Usage, specHint, "%q in %q is no port", words[1], text)
	}
	s.Port = int(port)
	if err := api.CheckTarget(s.To); err != nil {
		return s, api.Errorf(api.Usage, specHint, "%w", err)
	}
	return s, nil
}

// splitSpec splits at colons outside of brackets, and takes the brackets off.
func splitSpec(text string) []string {
	var words []string
	for {
		var word string
		found := false
		if end := strings.IndexByte(text, ']'); strings.HasPrefix(text, "[") && end > 0 {
			word, text = text[1:end], text[end+1:]
			text, found = strings.CutPrefix(text, ":")
			if !found && text != "" {
				return nil
			}
		} else {
			word, text, found = strings.Cut(text, ":")
		}
		words = append(words, word)
		if !found {
			return words
		}
	}
}
