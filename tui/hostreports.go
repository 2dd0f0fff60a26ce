package tui

import (
	"context"
	"encoding/json"
	"fmt"

	tea "charm.land/bubbletea/v2"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest/human"
)

// report opens a place for what a verb reports of a host. Its JSON is read into what; shown makes
// lines of that.
func (m *Model) report(host, verb string, what any, shown func() textMsg) tea.Cmd {
	client := m.client
	view := newText(m.ctx, Ref{Host: host}, verb+" "+host, spoken([]string{verb, host}))
	view.wrapped = true
	says := view.says
	return m.show(view, func(ctx context.Context) textMsg {
		said, err := client.Verb(ctx, verb, host, "--json")
		if jerr := json.Unmarshal([]byte(said), what); jerr != nil {
			if err == nil {
				err = jerr
			}
			return textMsg{err: err}
		}
		msg := shown()
		if msg.offer != nil {
			msg.says = says + " · " + msg.offer.says
		}
		return msg
	})
}

// check is one line of what doctor reports.
type check struct {
	Name    string `json:"name"`
	Verdict string `json:"verdict"`
	Text    string `json:"text"`
	Hint    string `json:"hint"`
}

// askDoctor shows what the verb reports.
func (m *Model) askDoctor() tea.Cmd {
	h := m.chosenHost()
	if h == nil {
		return nil
	}
	var report struct{ Checks []check }
	return m.report(h.Name, "doctor", &report, func() textMsg { return textMsg{lines: checkLines(report.Checks)} })
}

func checkLines(checks []check) []styled {
	const column = 18
	var lines []styled
	add := func(sign, name, text string, ink func(t *theme) ink) {
		lines = append(lines, styled{text: fmt.Sprintf("%s %-15s %s", sign, clean(name), clean(text)), ink: ink, hang: column})
	}
	for _, c := range checks {
		switch c.Verdict {
		case "warn":
			add("!", c.Name, c.Text, func(t *theme) ink { return t.warn })
		case "fail":
			add("✗", c.Name, c.Text, func(t *theme) ink { return t.bad })
		default:
			add("✓", c.Name, c.Text, func(t *theme) ink { return t.good })
		}
		if c.Hint != "" {
			add(" ", "", "→ "+c.Hint, func(t *theme) ink { return t.strong })
		}
	}
	return lines
}

// garbage is what gc reports.
type garbage struct {
	Freed int64        `json:"freed"` // bytes that would be
	More  bool         `json:"more"`
	Items []api.GCItem `json:"items"`
}

// cleanHost shows what could be freed of a host.
func (m *Model) cleanHost() tea.Cmd {
	h := m.chosenHost()
	if h == nil {
		return nil
	}
	var g garbage
	return m.report(h.Name, "gc", &g, func() textMsg {
		msg := textMsg{lines: garbageLines(&g)}
		if len(g.Items) > 0 {
			msg.offer = &offer{says: "C frees it", do: func(m *Model) tea.Cmd { return m.free(h.Name, g.Freed) }}
		}
		return msg
	})
}

// free asks whether what is shown of a host is to be freed.
func (m *Model) free(host string, bytes int64) tea.Cmd {
	words := []string{"gc", "--yes", host}
	m.ask(fmt.Sprintf("Free %s on %s?", human.Size(bytes), host), words, func(m *Model) tea.Cmd {
		m.back()
		return m.verb(words, nil)
	})
	return nil
}

// takeOffer does what the text on the screen offers.
func (m *Model) takeOffer() tea.Cmd {
	if p, ok := m.top().(*textPane); ok && p.offer != nil {
		return p.offer.do(m)
	}
	m.say(notice{text: "there is nothing here to free", bad: true})
	return nil
}

func garbageLines(g *garbage) []styled {
	if len(g.Items) == 0 {
		return []styled{{text: "nothing: all that is kept is in use, or younger than the host's retention"}}
	}
	lines := []styled{{text: fmt.Sprintf("%-10s %-28s %10s  %s", "WHAT", "NAME", "SIZE", "WHY"), ink: func(t *theme) ink { return t.head }}}
	for _, item := range g.Items {
		lines = append(lines, styled{text: fit(item.Kind, 10) + " " + fit(item.Name, 28) + " " + fitRight(human.Size(item.Bytes), 10) + "  " + clean(item.Why), hang: 53})
	}
	if g.More {
		lines = append(lines, styled{text: "and more", ink: func(t *theme) ink { return t.dim }})
	}
	return lines
}
