package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func reel(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A line that does not change is drawn once, however many screens have it.
func TestFilmDrawsEachLineOnce(t *testing.T) {
	t.Parallel()
	dir := reel(t, map[string]string{
		"900.screen": "$ run\nlost\n", "0.screen": "$ run\n", "2500.screen": "$ run\nback\n", "captions": "0 #0f0 up\n900 #f00 down & out\n",
	})
	var out bytes.Buffer
	if err := convertFilm(&out, dir, -1, "a film"); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]int{">$ run<": 1, ">lost<": 1, ">back<": 1, ">down &amp; out<": 1, "16.364%{visibility:visible}45.455%{visibility:hidden}": 1, "5.5s": 4} {
		if n := strings.Count(out.String(), text); n != want {
			t.Errorf("%q is there %d times, want %d", text, n, want)
		}
	}
	for dec := xml.NewDecoder(&out); ; {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestFilmStandsStill(t *testing.T) {
	t.Parallel()
	dir := reel(t, map[string]string{"0.screen": "first\n", "1000.screen": "second\n", "captions": "500 #f00 down\n"})
	for at, want := range map[time.Duration]string{0: "first", 700 * time.Millisecond: "first down", time.Second: "second down", time.Hour: "second down"} {
		var out bytes.Buffer
		if err := convertFilm(&out, dir, at, "t"); err != nil {
			t.Fatal(err)
		}
		var seen []string
		for _, word := range []string{"first", "second", "down"} {
			if strings.Contains(out.String(), ">"+word+"<") {
				seen = append(seen, word)
			}
		}
		if got := strings.Join(seen, " "); got != want || strings.Contains(out.String(), "keyframes") {
			t.Errorf("at %v: %q, want %q", at, got, want)
		}
	}
}

func TestFilmOfNothing(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]map[string]string{
		"no screens":     {"captions": ""},
		"no time":        {"x.screen": ""},
		"half a caption": {"0.screen": "x\n", "captions": "0 red\n"},
		"a timeless one": {"0.screen": "x\n", "captions": "soon red up\n"},
	} {
		if err := convertFilm(io.Discard, reel(t, files), -1, "t"); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
