package tui

import (
	"fmt"
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

func (m *Model) allLost() bool {
	for _, h := range m.hosts {
		if !h.lost() {
			return false
		}
	}
	return true
}

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
	step := func(does, how string) {
		lines = append(lines, "  "+t.key.paint(fit(how, 36))+" "+fit(does, max(0, w-40)))
	}
	step("in a tree: runs make as if here, on this machine", "cyclops run -- make")
	step("makes a machine that you reach by ssh a host", "cyclops install HOST")
	step("sends your tree there and brings the outputs back", "cyclops run -H HOST -- make")
	lines = append(lines, "")
	if len(m.hosts) < 2 {
		for _, text := range wrap("So far only this machine is here. Hosts that are to be on this screen belong into ~/.config/cyclops/config.toml:", w-4) {
			lines = append(lines, "  "+text)
		}
		lines = append(lines, "", "    [hosts.lab]", `    address = "me@lab.example.org"`, "")
	}
	return append(lines, "  What you begin appears here by itself. ? shows the keys, q leaves.")
}
