package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// frame is what a screen showed from a time on.
type frame struct {
	at    time.Duration
	lines [][]run
}

// caption is what the bar says from a time on, to the right.
type caption struct {
	at           time.Duration
	text, colour string
}

// film is what a screen showed over time.
type film struct {
	frames   []frame
	captions []caption
	length   time.Duration
}

// hold is how long the last frame stays before the film begins again.
const hold = 3 * time.Second

// readFilm reads a directory: MILLISECONDS.screen is what `tmux capture-pane -ep` printed then, and
// each line of captions says MILLISECONDS COLOUR TEXT.
func readFilm(dir string) (*film, error) {
	f := new(film)
	names, err := filepath.Glob(filepath.Join(dir, "*.screen"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		at, err := millis(strings.TrimSuffix(filepath.Base(name), ".screen"))
		if err != nil {
			return nil, err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("unable to read a screen: %w", err)
		}
		f.frames = append(f.frames, frame{at, parse(string(data))})
	}
	if len(f.frames) == 0 {
		return nil, fmt.Errorf("no screens in %s", dir)
	}
	slices.SortFunc(f.frames, func(a, b frame) int { return int(a.at - b.at) })
	f.length = f.frames[len(f.frames)-1].at + hold
	return f, f.readCaptions(filepath.Join(dir, "captions"))
}

func (f *film) readCaptions(path string) error {
	data, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("unable to read the captions: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		words := strings.SplitN(strings.TrimSpace(line), " ", 3)
		if len(words) != 3 {
			return fmt.Errorf("a caption is not MILLISECONDS COLOUR TEXT: %q", line)
		}
		at, err := millis(words[0])
		if err != nil {
			return err
		}
		f.captions = append(f.captions, caption{at, words[2], words[1]})
	}
	return nil
}

func millis(text string) (time.Duration, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("not a number of milliseconds: %q", text)
	}
	return time.Duration(n) * time.Millisecond, nil
}

// span is a piece of the picture and when it is seen.
type span struct {
	from, to time.Duration
	draw     func(w io.Writer)
}

// still is the film at one moment.
func (f *film) still(at time.Duration) *film {
	s := &film{length: 1}
	for _, fr := range f.frames {
		if fr.at <= at || len(s.frames) == 0 {
			s.frames = []frame{{0, fr.lines}}
		}
	}
	for _, c := range f.captions {
		if c.at <= at {
			s.captions = []caption{{0, c.text, c.colour}}
		}
	}
	return s
}

// size is that of the largest screen.
func (f *film) size() (width float64, height int) {
	for _, fr := range f.frames {
		w, h := extent(fr.lines, 0)
		width, height = max(width, w), max(height, h)
	}
	return width, height
}

// spans cuts the film into lines, each of which is seen for as long as it does not change.
func (f *film) spans(width float64) []span {
	var list []span
	rows := 0
	for _, fr := range f.frames {
		rows = max(rows, len(fr.lines))
	}
	for row := range rows {
		var shown []run
		from := time.Duration(0)
		end := func(to time.Duration) {
			if line := shown; !blank(line) {
				list = append(list, span{from, to, func(w io.Writer) {
					for _, r := range line {
						drawRun(w, r, row)
					}
				}})
			}
			from = to
		}
		for _, fr := range f.frames {
			var line []run
			if row < len(fr.lines) {
				line = fr.lines[row]
			}
			if !slices.Equal(line, shown) {
				end(fr.at)
				shown = line
			}
		}
		end(f.length)
	}
	for i, c := range f.captions {
		to := f.length
		if i+1 < len(f.captions) {
			to = f.captions[i+1].at
		}
		list = append(list, span{c.at, to, func(w io.Writer) {
			fmt.Fprintf(w, `<text x="%.1f" y="20" fill="%s" font-family="sans-serif" font-size="13" text-anchor="end">%s</text>`+"\n", width-margin, escape(c.colour), escape(c.text))
		}})
	}
	return list
}

// write draws the film. What is seen at its end is what a viewer that knows no animation shows.
func (f *film) write(w io.Writer, title string) error {
	width, height := f.size()
	out := bufio.NewWriter(w)
	begin(out, width, height, title)
	for i, s := range f.spans(width) {
		f.writeSpan(out, i, s)
	}
	fmt.Fprintln(out, "</g>\n</svg>")
	return out.Flush()
}

func (f *film) writeSpan(out io.Writer, i int, s span) {
	last := s.to >= f.length
	switch {
	case s.from == 0 && last:
		s.draw(out)
		return
	case last:
		fmt.Fprintf(out, "<style>@keyframes k%d{0%%{visibility:hidden}%s{visibility:visible}}#s%d{animation:k%d %s step-end infinite}</style>\n", i, f.percent(s.from), i, i, seconds(f.length))
	default:
		fmt.Fprintf(out, "<style>@keyframes k%d{0%%{visibility:hidden}%s{visibility:visible}%s{visibility:hidden}}#s%d{visibility:hidden;animation:k%d %s step-end infinite}</style>\n",
			i, f.percent(s.from), f.percent(s.to), i, i, seconds(f.length))
	}
	fmt.Fprintf(out, `<g id="s%d">`+"\n", i)
	s.draw(out)
	fmt.Fprintln(out, "</g>")
}

func (f *film) percent(at time.Duration) string {
	return strconv.FormatFloat(100*at.Seconds()/f.length.Seconds(), 'f', 3, 64) + "%"
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + "s" }
