package hosts

import (
	"net"
	"strconv"
	"strings"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// Destination is what an ssh destination says.
type Destination struct {
	User string
	Host string
	Port int // 0: not said
}

// String is the destination as ssh takes it without a port.
func (d Destination) String() string {
	if d.User == "" {
		return d.Host
	}
	return d.User + "@" + d.Host
}

// ParseDestination reads [user@]host[:port] or ssh://[user@]host[:port]. What a shell could take
// for something else is refused: ssh_config may hand the name to one (CVE-2023-51385).
func ParseDestination(text string) (Destination, error) {
	var d Destination
	rest := strings.TrimSuffix(strings.TrimPrefix(text, "ssh://"), "/")
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		d.User, rest = rest[:i], rest[i+1:]
		if err := checkUser(d.User); err != nil {
			return d, err
		}
	}
	host, port, err := splitPort(rest)
	if err != nil {
		return d, err
	}
	d.Host, d.Port = host, port
	if err := checkName(d.Host); err != nil {
		return d, err
	}
	return d, nil
}

// splitPort leaves a bare IPv6 address alone, which has colons of its own.
func splitPort(text string) (string, int, error) {
	bracketed := strings.HasPrefix(text, "[")
	if !bracketed && strings.Count(text, ":") != 1 {
		return text, 0, nil
	}
	if bracketed && strings.HasSuffix(text, "]") {
		return text[1 : len(text)-1], 0, nil
	}
	host, number, err := net.SplitHostPort(text)
	if err != nil {
		return "", 0, api.Errorf(api.Usage, "", "host %q: %w", text, err)
	}
	port, err := strconv.ParseUint(number, 10, 16)
	if err != nil || port == 0 {
		return "", 0, api.Errorf(api.Usage, "", "host %q: %q is not a port", text, number)
	}
	return host, int(port), nil
}

// forbidden are the characters that mean something to a shell, a glob or our own HOST/ID.
const forbidden = "'`\"$\\;&<>|(){}*?!#~^=,/ \t"

func checkName(name string) *api.Error { return checkWord("host name", name, forbidden+"@") }

func checkUser(name string) *api.Error { return checkWord("user name", name, forbidden) }

func checkWord(what, word, not string) *api.Error {
	const maxName = 255
	if word == "" || len(word) > maxName || word[0] == '-' {
		return api.Errorf(api.Usage, "", "%q is not a %s", word, what)
	}
	for _, r := range word {
		if r < ' ' || r == 0x7f || r == 0xfffd || strings.ContainsRune(not, r) {
			return api.Errorf(api.Usage, "", "%q is not a %s: it holds %q", word, what, r)
		}
	}
	return nil
}
