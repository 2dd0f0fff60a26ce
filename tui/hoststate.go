package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest/human"
)

// hostState is what is known of a host.
type hostState struct {
	Host
	hello   *api.Hello // once it answered
	status  *api.Status
	problem string // why there is no contact; empty: there is, or nobody knows yet
	hint    string
	kind    api.Kind
	since   time.Time // of the problem
	asked   bool      // it answered, or failed to
}

// lost tells whether what is known of the host is of the past.
func (h *hostState) lost() bool { return h != nil && h.problem != "" }

func (h *hostState) fail(e Event) {
	h.asked = true
	if h.problem == "" {
		h.since = time.Now()
	}
	h.problem, h.kind, h.hint = e.Err.Error(), api.KindOf(e.Err), hintOf(e.Err)
	if e.Retry > 0 {
		h.problem += fmt.Sprintf(" (asked again every %s)", human.Duration(e.Retry))
	}
}

// ready tells whether the host answers.
func (h *hostState) ready() bool { return h != nil && h.hello != nil && h.problem == "" }

// heard takes over an answer.
func (h *hostState) heard(e Event) {
	h.asked, h.problem, h.hint = true, "", ""
	if e.Hello != nil {
		h.hello = e.Hello
		h.status = e.Hello.Status
	}
	if e.News.Status != nil {
		h.status = e.News.Status
	}
}

// connecting tells whether a host has not answered yet, nor failed to.
func (m *Model) connecting() bool {
	for _, h := range m.hosts {
		if !h.asked {
			return true
		}
	}
	return false
}

func (m *Model) anyLost() bool { return slices.ContainsFunc(m.hosts, (*hostState).lost) }

func (m *Model) hostNames() string {
	var names []string
	for _, h := range m.hosts {
		names = append(names, h.Name)
	}
	return strings.Join(names, ", ")
}

// firstSteps shows somebody how to begin whose hosts have no jobs.
func (m *Model) firstSteps(w int) []string {
	t := &m.theme
	lines := []string{"", "  " + t.strong.paint("No jobs yet. To begin:"), ""}
	step := func(how, does, short string) {
		if width(does) > w-32 {
			does = short
		}
		lines = append(lines, "  "+t.key.paint(fit(how, 29))+" "+fit(does, max(0, w-32)))
	}
	step("cyclops run -- make", "in a tree: runs make as if here, on this machine", "runs make on this machine")
	step("cyclops install HOST", "makes a machine that you reach by ssh a host", "makes a machine a host")
	step("cyclops run -H HOST -- make", "sends your tree there and brings the outputs back", "runs make on that host")
	lines = append(lines, "")
	if len(m.hosts) < 2 { // as many lines as the smallest screen has
		lines = append(lines, "  Other hosts are named in ~/.config/cyclops/config.toml:", "    [hosts.lab]", `    address = "me@lab.example.org"`, "")
	}
	return append(lines, fit("  What you begin appears by itself. ? shows keys, q leaves.", w))
}
