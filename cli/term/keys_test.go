package term

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseKeys(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"ctrl-],d": "\x1dd", "ctrl-p,ctrl-q": "\x10\x11", "~,.": "~.", "Ctrl-A": "\x01", "ctrl-@": "\x00", "ctrl-^,x": "\x1ex", "": "",
	} {
		k, err := ParseKeys(text)
		if err != nil || string(k.sequence) != want {
			t.Errorf("%q: %v, %v", text, k, err)
		}
	}
	for _, text := range []string{"ctrl-", "ctrl-1", "ab", ",", "ctrl-a,", "µ", "ctrl-ab", " "} {
		if k, err := ParseKeys(text); err == nil {
			t.Errorf("%q is taken as %q", text, k.sequence)
		}
	}
	k, err := ParseKeys(DefaultKeys)
	if err != nil || k.String() != "ctrl-] d" {
		t.Errorf("the default is %q, %v", k, err)
	}
}

func TestKeysFound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		keys  string
		typed []string
		pass  string
		found bool
	}{
		{"ctrl-],d", []string{"abc\x1dd"}, "abc", true},
		{"ctrl-],d", []string{"abc\x1d", "d"}, "abc", true},
		{"ctrl-],d", []string{"\x1d\x1dd"}, "\x1d", true},
		{"ctrl-],d", []string{"\x1d", "x"}, "\x1dx", false},
		{"ctrl-],d", []string{"a\x1d"}, "a", false},
		{"a,a,b", []string{"a", "a", "a", "b"}, "a", true},
		{"a,b,a,c", []string{"abab", "ac"}, "ab", true},
		{"", []string{"\x1dd"}, "\x1dd", false},
	} {
		k, err := ParseKeys(c.keys)
		if err != nil {
			t.Fatal(err)
		}
		var pass []byte
		found := false
		for _, typed := range c.typed {
			p, f := k.Find([]byte(typed))
			pass, found = append(pass, p...), found || f
		}
		if string(pass) != c.pass || found != c.found {
			t.Errorf("%s in %q: passed %q, found %t", c.keys, c.typed, pass, found)
		}
	}
}

// Keys that are not the sequence all arrive, in their order, whatever they begin like.
func TestKeysLoseNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		sequence := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b"}), 1, 5).Draw(t, "sequence")
		typed := []byte(rapid.StringOf(rapid.SampledFrom([]rune("abc"))).Draw(t, "typed"))
		k, err := ParseKeys(strings.Join(sequence, ","))
		if err != nil {
			t.Fatal(err)
		}
		whole := strings.Join(sequence, "")
		var pass []byte
		for _, c := range typed {
			p, found := k.Find([]byte{c})
			pass = append(pass, p...)
			if found {
				pass = append(pass, whole...)
			}
		}
		pass = append(pass, whole[:k.matched]...)
		if !bytes.Equal(pass, typed) {
			t.Fatalf("%q became %q", typed, pass)
		}
	})
}
