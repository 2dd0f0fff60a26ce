package tui

import (
	"context"
	"fmt"
	"math"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/cyclops-fpga/cyclops/executor/api"
)

// logPane is a job's log: a window over it, moved by pages that are read when the screen comes near
// its ends, and by what is added while it is followed.
type logPane struct {
	of         Ref
	window     logWindow
	size       int64 // of the log, as last heard
	loaded     bool
	ended      bool // nothing is added any more
	broken     bool // following it failed
	generation int  // of the window: answers for an earlier one are dropped
	asked      [2]bool
	awaited    *int64 // around what a window was asked for that is not here

	follow bool
	tail   <-chan Chunk
	stop   context.CancelFunc // of the tail; nil: none
	lifetime

	top, sub int // line at the top, and the row of it
	side     int
	wrapped  bool
	stamps   bool
	stream   string // "", "stdout", "stderr"
	search   logSearch
	jumped   logJump
	trouble  string // why there is nothing to show
}

// How much one request brings.
const (
	backLines = 600
	pageBytes = 512 << 10
)

// The two ends at which a window grows.
const (
	atFront = iota
	atBack
)

type (
	// logPageMsg is a part of the log for one end of the window, or for a new one around an offset.
	logPageMsg struct {
		pane       *logPane
		generation int
		front      *LogPage
		back       *LogPage
		anew       bool
		around     int64
		err        error
	}
	// tailMsg is what was added to the log.
	tailMsg struct {
		pane   *logPane
		tail   <-chan Chunk
		chunks []api.LogChunk
		err    error
		broken bool // nothing more comes, because of err
		over   bool // nothing more comes
	}
)

func (m *Model) openLog() tea.Cmd {
	r := m.current()
	if r == nil {
		return nil
	}
	p := newLogPane(m.ctx, r.ref())
	p.ended = r.State.Ended()
	m.push(p)
	return p.jump(m, math.MaxInt64)
}

func newLogPane(ctx context.Context, of Ref) *logPane {
	return &logPane{of: of, lifetime: live(ctx), follow: true, jumped: logJump{target: -1}}
}

func (p *logPane) ref() Ref { return p.of }

func (p *logPane) place() place { return inLog }

func (p *logPane) title(m *Model) string { return m.titled("log", p.of) }

// jump begins a new window around an offset; behind the end means the end. From a host that is lost
// it is asked for when that is back.
func (p *logPane) jump(m *Model, around int64) tea.Cmd {
	p.generation++
	p.hush()
	p.awaited = &around
	if p.asked = [2]bool{}; m.host(p.of.Host).lost() {
		return nil
	}
	p.asked = [2]bool{true, true}
	ctx, client, of, stream, generation := p.ctx, m.client, p.of, p.stream, p.generation
	return func() tea.Msg {
		msg := logPageMsg{pane: p, generation: generation, anew: true, around: around}
		front, err := client.LogPage(ctx, of, LogPart{From: around, Back: backLines, Limit: pageBytes, Stream: stream})
		if err != nil {
			msg.err = err
			return msg
		}
		msg.front = &front
		if around < front.Size {
			back, err := client.LogPage(ctx, of, LogPart{From: front.Next, Limit: pageBytes, Stream: stream})
			msg.back, msg.err = &back, err
		}
		return msg
	}
}

// hush ends the following; what was asked for is still taken.
func (p *logPane) hush() {
	if p.stop != nil {
		p.stop()
	}
	p.stop, p.tail = nil, nil
}

// reach reads on where the screen comes near an end of the window.
func (p *logPane) reach(m *Model) tea.Cmd {
	if !p.loaded || m.host(p.of.Host).lost() { // each key would add an error
		return nil
	}
	var commands []tea.Cmd
	near := 2 * max(50, m.height)
	if p.top < near && p.window.from > 0 && !p.asked[atFront] {
		commands = append(commands, p.grow(m, atFront, LogPart{From: p.window.from, Back: backLines, Limit: pageBytes, Stream: p.stream}))
	}
	if p.top+near > len(p.window.lines) && p.window.next < p.size && p.tail == nil && !p.asked[atBack] {
		commands = append(commands, p.grow(m, atBack, LogPart{From: p.window.next, Limit: pageBytes, Stream: p.stream}))
	}
	return tea.Batch(commands...)
}

func (p *logPane) grow(m *Model, end int, part LogPart) tea.Cmd {
	p.asked[end] = true
	ctx, client, of, generation := p.ctx, m.client, p.of, p.generation
	return func() tea.Msg {
		page, err := client.LogPage(ctx, of, part)
		msg := logPageMsg{pane: p, generation: generation, err: err}
		if end == atFront {
			msg.front = &page
		} else {
			msg.back = &page
		}
		return msg
	}
}

func (p *logPane) take(m *Model, msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case logPageMsg:
		if msg.pane == p && msg.generation == p.generation {
			return p.takePage(m, msg)
		}
	case newsMsg:
		if msg.host == p.of.Host && msg.event.First {
			return p.resume(m)
		}
	case tailMsg:
		if msg.pane == p && msg.tail == p.tail {
			return p.takeTail(m, msg)
		}
	case foundMsg:
		if msg.pane == p && msg.jump == p.jumped.number {
			return p.takeFound(m, msg)
		}
	case countMsg:
		if msg.pane == p && msg.ctx.Err() == nil {
			return p.takeCount(m, msg)
		}
	}
	return nil
}

// resume asks a host that is back for what it did not give while it was away.
func (p *logPane) resume(m *Model) tea.Cmd {
	var count tea.Cmd
	if p.search.halted {
		count = p.recount(m)
	}
	if p.awaited != nil {
		return tea.Batch(count, p.jump(m, *p.awaited))
	}
	return tea.Batch(count, p.listen(m), p.reach(m))
}

func (p *logPane) takePage(m *Model, msg logPageMsg) tea.Cmd {
	if msg.err != nil {
		p.asked = [2]bool{}
		if !p.loaded {
			p.trouble = msg.err.Error()
		}
		m.complain("cyclops logs "+p.of.String(), msg.err)
		return nil
	}
	if msg.anew {
		return p.begin(m, msg)
	}
	if msg.front != nil {
		p.asked[atFront] = false
		p.size = max(p.size, msg.front.Size)
		p.top += p.window.prepend(msg.front.Chunks, msg.front.From)
	}
	if msg.back != nil {
		p.asked[atBack] = false
		p.size = max(p.size, msg.back.Size)
		p.top -= p.window.add(msg.back.Chunks, msg.back.Next)
	}
	p.hold(m)
	return p.reach(m)
}

// begin takes a new window, with the offset that it was asked around at a third of the screen.
func (p *logPane) begin(m *Model, msg logPageMsg) tea.Cmd {
	p.asked, p.awaited, p.loaded, p.trouble = [2]bool{}, nil, true, ""
	p.window = logWindow{from: msg.front.From, next: msg.front.From}
	p.window.add(msg.front.Chunks, msg.front.Next)
	p.size = msg.front.Size
	if msg.back != nil {
		p.window.add(msg.back.Chunks, msg.back.Next)
		p.size = max(p.size, msg.back.Size)
	}
	if p.follow {
		p.bottom(m)
	} else {
		p.show(m, msg.around)
	}
	return tea.Batch(p.listen(m), p.reach(m))
}

// show puts what is at an offset on the screen: its row at a third of the height, and where long
// lines are cut, moved sideways so far that one sees it.
func (p *logPane) show(m *Model, offset int64) {
	p.top, p.sub = p.window.at(offset), 0
	if p.top < len(p.window.lines) {
		l := &p.window.lines[p.top]
		before := l.text[:max(0, min(offset-l.offset, int64(len(l.text))))]
		if column := width(bare(safeLine([]byte(before)))); p.wrapped {
			p.sub = min(column/p.room(m), p.rowsOf(m, p.top)-1)
		} else if column < p.side || column >= p.side+p.room(m)*3/4 {
			p.side = max(0, column-p.room(m)/2) / 8 * 8
		}
	}
	for range m.body() / 3 {
		p.up(m)
	}
	p.hold(m)
}

// listen follows the log from where the window ends, if that is its end.
func (p *logPane) listen(m *Model) tea.Cmd {
	if !p.follow || p.ended && p.window.next >= p.size || p.tail != nil {
		return nil
	}
	ctx, stop := context.WithCancel(p.ctx)
	p.stop, p.broken = stop, false
	p.tail = m.client.Follow(ctx, p.of, p.window.next)
	return p.receive(p.tail)
}

// maxGulp bounds what one message brings, so that keys get their turn between two of a fast log.
const maxGulp = 256 << 10

// receive waits for some of the log and takes along what is there already.
func (p *logPane) receive(tail <-chan Chunk) tea.Cmd {
	return func() tea.Msg {
		msg := tailMsg{pane: p, tail: tail}
		bytes := 0
		for c, ok := <-tail; ; {
			if !ok || c.Err != nil {
				msg.err, msg.broken, msg.over = c.Err, c.Over, !ok
				return msg
			}
			msg.chunks = append(msg.chunks, c.LogChunk)
			if bytes += len(c.Data); bytes >= maxGulp {
				return msg
			}
			select {
			case c, ok = <-tail:
			default:
				return msg
			}
		}
	}
}

func (p *logPane) takeTail(m *Model, msg tailMsg) tea.Cmd {
	shown, next := msg.chunks[:0:0], p.window.next
	for _, c := range msg.chunks {
		if p.wants(c.Stream) {
			shown = append(shown, c)
		}
		next = max(next, c.Offset+int64(len(c.Data)))
	}
	p.top -= p.window.add(shown, next)
	p.size = max(p.size, next)
	if msg.err != nil {
		m.complain("the log", msg.err)
	}
	p.broken = p.broken || msg.broken
	if msg.over {
		p.hush()
		p.ended = !p.broken
		p.follow = p.follow && p.ended
	}
	if p.follow {
		p.bottom(m)
	}
	p.hold(m)
	if msg.over {
		return nil
	}
	return p.receive(p.tail)
}

func (p *logPane) wants(stream uint8) bool {
	return p.stream == "" || stream == api.StreamUnknown || p.stream == "stdout" && stream == api.Stdout || p.stream == "stderr" && stream == api.Stderr
}

// saveLog writes the log to a file here.
func (m *Model) saveLog() tea.Cmd {
	p, ok := m.top().(*logPane)
	if !ok {
		return nil
	}
	client, of := m.client, p.of
	return m.open(&input{
		label: "save to", help: "a new file on this machine; as cyclops logs " + of.String() + " >FILE",
		accept: func(m *Model, path string) tea.Cmd {
			if path == "" {
				return nil
			}
			return m.withProgress("cyclops logs "+of.String()+" >"+path, func(ctx context.Context, told func(Progress)) (string, error) {
				return "saved to " + path, client.SaveLog(ctx, of, path, told)
			}, nil)
		},
	}, of.ID+".log")
}

func stampText(ns int64, zone *time.Location) string {
	if ns == 0 {
		return "            "
	}
	return time.Unix(0, ns).In(zone).Format("15:04:05.000")
}

func percent(part, whole int64) string {
	if whole <= 0 {
		return "100 %"
	}
	return fmt.Sprintf("%d %%", 100*min(part, whole)/whole)
}
