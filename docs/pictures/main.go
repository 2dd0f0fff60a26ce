// Command pictures turns what `tmux capture-pane -ep` prints into an SVG picture. The same bytes
// give the same picture.
//
//	tmux capture-pane -ep -t NAME | pictures -title 'cyclops run build' >build.svg
//
// With -film DIR it turns the screens in a directory, each named by its time in milliseconds, into
// a picture that moves; with -at TIME as well, into the one that it shows then.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

func main() {
	title := flag.String("title", "", "what the bar above the screen says")
	dir := flag.String("film", "", "read screens from this `directory`")
	at := flag.Duration("at", -1, "of a film, what it shows at this `time`")
	columns := flag.Int("columns", 0, "how many `cells` wide the screen is; otherwise as wide as what is on it")
	flag.Parse()
	err := error(nil)
	if *dir != "" {
		err = convertFilm(os.Stdout, *dir, *at, *title)
	} else {
		err = convert(os.Stdout, os.Stdin, *columns, *title)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pictures:", err)
		os.Exit(1)
	}
}

func convert(w io.Writer, r io.Reader, columns int, title string) error {
	captured, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("unable to read the screen: %w", err)
	}
	lines := parse(string(captured))
	fillBars(lines, columns)
	return draw(w, lines, columns, title)
}

func convertFilm(w io.Writer, dir string, at time.Duration, title string) error {
	f, err := readFilm(dir)
	if err != nil {
		return err
	}
	if at >= 0 {
		f = f.still(at)
	}
	return f.write(w, title)
}
