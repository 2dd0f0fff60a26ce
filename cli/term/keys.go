package term

import (
	"fmt"
	"strings"
)

// DefaultKeys leave a job alone: ctrl-], which hardly anything uses, then d.
const DefaultKeys = "ctrl-],d"

// Keys finds one sequence of keys in what is typed. Keys that may be its beginning are kept until
// they turn out to be or not to be.
type Keys struct {
	sequence []byte
	back     []int // how much of the sequence still stands when the key behind position i is wrong
	matched  int
}

// ParseKeys reads a sequence as docker writes it: keys with commas between them, each a character
// or ctrl- and one of a–z @ [ \ ] ^ _. The empty text is no sequence: nothing is ever found.
func ParseKeys(text string) (*Keys, error) {
	k := new(Keys)
	if text == "" {
		return k, nil
	}
	for word := range strings.SplitSeq(text, ",") {
		key, err := parseKey(word)
		if err != nil {
			return nil, err
		}
		k.sequence = append(k.sequence, key)
	}
	k.back = make([]int, len(k.sequence))
	for i, n := 1, 0; i < len(k.sequence); i++ {
		for n > 0 && k.sequence[i] != k.sequence[n] {
			n = k.back[n-1]
		}
		if k.sequence[i] == k.sequence[n] {
			n++
		}
		k.back[i] = n
	}
	return k, nil
}

func parseKey(word string) (byte, error) {
	if len(word) == 1 && word[0] > 0x20 && word[0] < 0x7f {
		return word[0], nil
	}
	name, ok := strings.CutPrefix(strings.ToLower(word), "ctrl-")
	if ok && len(name) == 1 && (name[0] >= 'a' && name[0] <= 'z' || strings.Contains(`@[\]^_`, name)) {
		return name[0] & 0x1f, nil
	}
	return 0, fmt.Errorf("%q is no key: write one character, or ctrl- and one of a-z @ [ \\ ] ^ _", word)
}

// Find takes what was typed and returns what is not the sequence's, and whether the sequence was
// typed. What is typed behind it is dropped.
func (k *Keys) Find(typed []byte) (pass []byte, found bool) {
	if len(k.sequence) == 0 {
		return typed, false
	}
	pass = make([]byte, 0, len(typed)+k.matched)
	for _, c := range typed {
		for k.matched > 0 && k.sequence[k.matched] != c {
			kept := k.back[k.matched-1]
			pass = append(pass, k.sequence[:k.matched-kept]...)
			k.matched = kept
		}
		if k.sequence[k.matched] != c {
			pass = append(pass, c)
			continue
		}
		k.matched++
		if k.matched == len(k.sequence) {
			k.matched = 0
			return pass, true
		}
	}
	return pass, false
}

// String names the sequence for people.
func (k *Keys) String() string {
	words := make([]string, len(k.sequence))
	for i, c := range k.sequence {
		words[i] = string(rune(c))
		if c < 0x20 {
			words[i] = "ctrl-" + strings.ToLower(string(rune(c|0x40)))
		}
	}
	return strings.Join(words, " ")
}
