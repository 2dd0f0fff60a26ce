package hosts

import (
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// expander replaces ~ and the %-tokens of ssh_config.
type expander struct {
	home  string
	token map[byte]string
}

func newExpander(res *Resolved) expander {
	local, err := os.Hostname()
	if err != nil {
		local = "localhost"
	}
	short, _, _ := strings.Cut(local, ".")
	me := ""
	if u, err := user.Current(); err == nil {
		me = filepath.Base(filepath.ToSlash(u.Username))
	}
	key := res.HostKeyAlias
	if key == "" {
		key = res.Alias
	}
	h := home()
	return expander{home: h, token: map[byte]string{
		'%': "%", 'd': h, 'h': res.HostName, 'i': strconv.Itoa(os.Getuid()), 'k': key, 'L': short, 'l': local,
		'n': res.Alias, 'p': strconv.Itoa(res.Port), 'r': res.User, 'u': me,
	}}
}

// tokens replaces the tokens of text; one that is not known stays as it is.
func (x expander) tokens(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+1 < len(text) {
			if v, ok := x.token[text[i+1]]; ok {
				b.WriteString(v)
				i++
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

func (x expander) path(p string) string {
	if p == "~" || strings.HasPrefix(p, "~/") {
		p = x.home + p[1:]
	}
	return x.tokens(p)
}

func (x expander) paths(list []string) []string {
	var out []string
	for _, p := range list {
		if p != "" && !strings.EqualFold(p, "none") {
			out = append(out, x.path(p))
		}
	}
	return out
}
