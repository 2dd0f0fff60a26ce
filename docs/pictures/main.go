// Command pictures turns what `tmux capture-pane -ep` prints into an SVG picture. The same bytes
// give the same picture.
//
//	tmux capture-pane -ep -t NAME | pictures -title 'cyclops run build' >build.svg
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	title := flag.String("title", "", "what the bar above the screen says")
	flag.Parse()
	if err := convert(os.Stdout, os.Stdin, *title); err != nil {
		fmt.Fprintln(os.Stderr, "pictures:", err)
		os.Exit(1)
	}
}

func convert(w io.Writer, r io.Reader, title string) error {
	captured, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("unable to read the screen: %w", err)
	}
	return draw(w, parse(string(captured)), title)
}
