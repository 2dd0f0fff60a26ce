package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"sort"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest/caret"
	"github.com/cyclops-fpga/cyclops/remote"
)

const (
	// hitsAtOnce is how many lines the host looks for before it answers.
	hitsAtOnce = 5000
	// lineBytes is how much of the log is read around a line: the next one is often near. What goes
	// on from there is read in ever larger pieces, or a text in every line would take for ever.
	lineBytes    = 64 << 10
	maxLineBytes = 1 << 20
)

// searchLog prints the lines of a log that have what is looked for. The host does the looking: a log
// of 10 GB must not cross the network for three lines.
func (app *App) searchLog(ctx context.Context, o *logsOptions, host *openHost, id string) error {
	to := term.JobWriter(app.stdout)
	lines := &foundLines{out: bufio.NewWriter(to), stamps: o.stamps, stream: o.stream}
	lines.page = func(from int64, size int) ([]api.LogChunk, error) {
		chunks, _, err := host.client.LogPage(ctx, id, remote.LogPart{From: from, Limit: size})
		return chunks, err
	}
	search := remote.LogSearch{Text: o.find, Problems: o.problems, Stream: o.stream, Max: hitsAtOnce}
	err := lines.all(search, func(s remote.LogSearch) (api.LogFound, error) { return host.client.LogFind(ctx, id, s) })
	if err = errors.Join(err, lines.out.Flush(), caret.Flush(to)); err == nil && lines.count == 0 {
		return &exitError{code: exitFailure, err: api.Errorf(api.NotFound, "", "the log of job %s has %s", id, o.inVain())}
	}
	return err
}

// inVain says what there is none of.
func (o *logsOptions) inVain() string {
	what := "no error or warning"
	if o.finding {
		what = "no " + o.find
	}
	if o.stream != "" {
		what += " on " + o.stream
	}
	return what
}

// asGrep marks what kept a log from being searched: a script that asks whether there are errors must
// not take a lost connection for none.
func asGrep(err error) error {
	if err == nil || errors.As(err, new(*exitError)) || errors.Is(err, context.Canceled) {
		return err
	}
	return &exitError{code: exitUsage, err: err}
}

// foundLines writes lines of a log as they stand in it. It keeps a page of the log and no line: one
// may be as long as the log.
type foundLines struct {
	page   func(from int64, size int) ([]api.LogChunk, error)
	out    *bufio.Writer
	stamps bool
	stream string // that is written; empty: any

	chunks []api.LogChunk // the page that was read last
	size   int            // that was asked of it
	end    int64          // of the line that was written last
	count  int
}

// all asks again and again until the log has no more, and writes each line once: of a long one the
// host may tell several times.
func (l *foundLines) all(s remote.LogSearch, find func(remote.LogSearch) (api.LogFound, error)) error {
	for {
		found, err := find(s)
		if err != nil {
			return err
		}
		for _, hit := range found.Hits {
			if hit.At < l.end {
				continue
			}
			at, err := l.start(hit.Offset)
			if err == nil {
				err = l.line(at)
			}
			if err != nil {
				return err
			}
		}
		next := max(found.Next, l.end)
		if err := l.out.Flush(); err != nil || found.Done || next >= found.Size {
			return err
		}
		if next <= s.From { // it would ask the same for ever
			return api.Errorf(api.Internal, "", "the host ended the search at byte %d of %d", next, found.Size)
		}
		s.From = next
	}
}

// start returns where the line around an offset begins: a host looks for that only a little way back,
// and half a line looks like a whole one.
func (l *foundLines) start(at int64) (int64, error) {
	for step := int64(1); at > l.end; step = min(max(2*step, lineBytes), 4*maxLineBytes) { // mostly the byte before tells
		from, begin := max(l.end, at-step), int64(-1)
		for i := from; i < at; {
			c, err := l.read(i)
			if err != nil || len(c.Data) == 0 {
				return at, err
			}
			data := c.Data[:min(int64(len(c.Data)), at-i)]
			if k := bytes.LastIndexByte(data, '\n'); k >= 0 {
				begin = i + int64(k) + 1
			}
			i += int64(len(data))
		}
		if begin >= 0 {
			return begin, nil
		}
		at = from
	}
	return l.end, nil
}

// line writes the line that begins at an offset, up to its end or the log's.
func (l *foundLines) line(at int64) error {
	l.count++
	l.end = at
	for begun, whole := false, false; !whole; {
		c, err := l.read(l.end)
		if err != nil {
			return err
		}
		data := c.Data
		if len(data) == 0 {
			break
		}
		if data, _, whole = bytes.Cut(data, []byte("\n")); whole {
			l.end++
		}
		l.end += int64(len(data))
		begun = l.write(c, data, begun)
	}
	return l.out.WriteByte('\n')
}

// write writes a piece of a line, and before the first of them when that was written.
func (l *foundLines) write(c api.LogChunk, data []byte, begun bool) bool {
	if len(data) == 0 || !l.shows(c.Stream) {
		return begun
	}
	if l.stamps && !begun {
		_, _ = l.out.WriteString(stampOf(c)) // what goes wrong is told by the next Flush
	}
	_, _ = l.out.Write(data)
	return true
}

func (l *foundLines) shows(stream uint8) bool {
	switch l.stream {
	case "stdout":
		return stream != api.Stderr
	case "stderr":
		return stream != api.Stdout
	}
	return true
}

// read returns the log from an offset on, as far as one chunk goes; nothing: it has no more.
func (l *foundLines) read(at int64) (api.LogChunk, error) {
	for range 2 {
		i := sort.Search(len(l.chunks), func(i int) bool { return endOf(l.chunks[i]) > at })
		if i < len(l.chunks) && l.chunks[i].Offset <= at {
			c := l.chunks[i]
			c.Data = c.Data[at-c.Offset:]
			return c, nil
		}
		size := lineBytes
		if n := len(l.chunks); n > 0 && endOf(l.chunks[n-1]) == at {
			size = min(2*l.size, maxLineBytes)
		}
		var err error
		if l.chunks, err = l.page(at, size); err != nil {
			return api.LogChunk{}, err
		}
		l.size = size
	}
	return api.LogChunk{}, nil
}

func endOf(c api.LogChunk) int64 { return c.Offset + int64(len(c.Data)) }
