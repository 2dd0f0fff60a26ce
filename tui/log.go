package tui

import (
	"context"
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// logPane is an open log.
type logPane struct {
	id     string
	chunks <-chan Chunk
	stop   context.CancelFunc
	ring   ring
	follow bool // the end stays in view
	seen   int  // number of the top line, counted from the first line that was ever kept
	left   int  // first column
	ended  bool
}

// logMsg is what arrived of a log. It names its pane: the log of before may still be on its way.
type logMsg struct {
	pane  *logPane
	text  string
	err   error
	ended bool
}

// maxGulp bounds what one message brings, so that keys get their turn between two of a fast log.
const maxGulp = 256 << 10

func (m *Model) openLog() tea.Cmd {
	ctx, stop := context.WithCancel(m.ctx)
	m.log = &logPane{id: m.selected, stop: stop, follow: true, chunks: m.client.Follow(ctx, m.selected)}
	m.view = logView
	return m.log.receive()
}

// receive waits for some of the log and takes along what is there already.
func (p *logPane) receive() tea.Cmd {
	return func() tea.Msg {
		var text strings.Builder
		c, ok := <-p.chunks
		for ok && c.Err == nil {
			text.WriteString(c.Text)
			if text.Len() >= maxGulp {
				return logMsg{p, text.String(), nil, false}
			}
			select {
			case c, ok = <-p.chunks:
			default:
				return logMsg{p, text.String(), nil, false}
			}
		}
		return logMsg{p, text.String(), c.Err, !ok}
	}
}

func (m *Model) takeLog(msg logMsg) tea.Cmd {
	if msg.pane != m.log {
		return nil
	}
	m.log.ring.write(msg.text)
	m.log.ended = msg.ended
	if msg.err != nil {
		m.say("the log", msg.err)
	}
	if msg.ended {
		return nil
	}
	return m.log.receive()
}

func (m *Model) logKey(key string) tea.Cmd {
	p := m.log
	switch key {
	case "q", "esc":
		p.stop()
		m.log, m.view = nil, jobView
	case "f":
		p.follow = !p.follow
		p.seen = p.ring.dropped + p.bottom(m.body())
	case "h", "left":
		p.left = max(0, p.left-8)
	case "l", "right":
		p.left = min(p.left+8, maxLine)
	case "c":
		return m.action(key)
	default:
		p.move(key, m.body())
	}
	return nil
}

func (p *logPane) bottom(height int) int { return max(0, p.ring.len()-height) }

// top is the index of the line at the top; what the ring dropped cannot be shown.
func (p *logPane) top(height int) int {
	if p.follow {
		return p.bottom(height)
	}
	return min(max(0, p.seen-p.ring.dropped), p.bottom(height))
}

// move scrolls; the end in view means following again.
func (p *logPane) move(key string, height int) {
	by := step(key, height-1, p.ring.len())
	if by == 0 {
		return
	}
	top := min(max(p.top(height)+by, 0), p.bottom(height))
	p.follow = by > 0 && top == p.bottom(height)
	p.seen = top + p.ring.dropped
}

func (m *Model) logLines(height int) []string {
	p := m.log
	var lines []string
	top := p.top(height)
	for i := top; i < min(p.ring.len(), top+height); i++ {
		lines = append(lines, cut(expandTabs(p.ring.line(i)), p.left, m.width, m.theme.colour))
	}
	if len(lines) == 0 && p.ended {
		return []string{"the log is empty"}
	}
	return lines
}

// logTitle says where in the log the screen is.
func (p *logPane) title(height int) string {
	mode := "scrolled, f follows"
	switch {
	case p.ended:
		mode = "complete"
	case p.follow:
		mode = "following"
	}
	text := fmt.Sprintf("log of %s · %s · line %d of %d", p.id, mode, p.ring.dropped+min(p.top(height)+height, p.ring.len()), p.ring.dropped+p.ring.len())
	if p.ring.dropped > 0 {
		text += fmt.Sprintf(", last %d kept", maxLines)
	}
	return text
}
