package tui

import (
	"context"
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/human"
)

// artifactsPane is a manifest as a tree of files.
type artifactsPane struct {
	of       Ref
	manifest *manifest.Manifest
	reading  reading
	problem  string
	folded   map[string]bool // directories that are shut
	nodes    []node
	cursor   int
	first    int
	marked   map[string]bool
	verdict  map[string]string // what verifying came to: "ok", or why not
	checking bool
	then     *action // once the manifest is here
	lifetime
}

// node is a line of the tree: a directory, or a file with its artifact.
type node struct {
	path  string
	depth int
	dir   bool
	files int
	bytes int64
	a     manifest.Artifact
	gone  string // a pattern that matched nothing, or only what is stale
}

// verdictMsg is what verifying an artifact came to.
type verdictMsg struct {
	pane  *artifactsPane
	name  string
	err   error
	steps <-chan verdictMsg
	over  bool
}

func (m *Model) openArtifacts() tea.Cmd {
	r := m.current()
	if r == nil {
		return nil
	}
	p := &artifactsPane{of: r.ref(), lifetime: live(m.ctx), folded: map[string]bool{}, marked: map[string]bool{}, verdict: map[string]string{}}
	m.push(p)
	if known := m.record(p.of).Manifest; known != nil {
		p.fill(known)
		return nil
	}
	return p.reading.ask(p.ctx, m.client, r)
}

func (p *artifactsPane) ref() Ref { return p.of }

func (p *artifactsPane) place() place { return inArtifacts }

func (p *artifactsPane) title(m *Model) string { return m.titled("artifacts", p.of) }

func (p *artifactsPane) fill(m *manifest.Manifest) {
	p.manifest = m
	p.plant()
}

// proceed does what was waiting for the manifest, unless one has gone elsewhere meanwhile.
func (p *artifactsPane) proceed(m *Model) tea.Cmd {
	then := p.then
	if p.then = nil; then == nil || m.top() != pane(p) {
		return nil
	}
	return m.act(then)
}

// plant makes the lines of the tree.
func (p *artifactsPane) plant() {
	files := slices.Clone(p.manifest.Artifacts)
	slices.SortFunc(files, func(a, b manifest.Artifact) int {
		if a.OwnLog() != b.OwnLog() { // at the end, whatever they are called
			if a.OwnLog() {
				return 1
			}
			return -1
		}
		return strings.Compare(a.Name, b.Name)
	})
	p.nodes = nil
	dirs := map[string]int{}
	for _, a := range files {
		name := a.Name
		if a.OwnLog() {
			name = a.Path
		}
		p.plantFile(dirs, name, a)
	}
	for _, pattern := range p.manifest.Missing {
		p.nodes = append(p.nodes, node{path: pattern, gone: "missing: nothing matched it"})
	}
	for _, s := range p.manifest.Stale {
		p.nodes = append(p.nodes, node{path: s.Pattern, gone: "stale: this job did not write " + strings.Join(s.Paths, ", ")})
	}
	for _, r := range p.manifest.Refused {
		p.nodes = append(p.nodes, node{path: r.Path, gone: "refused: " + r.Reason})
	}
	p.cursor = max(0, min(p.cursor, len(p.nodes)-1))
}

func (p *artifactsPane) plantFile(dirs map[string]int, name string, a manifest.Artifact) {
	parts := strings.Split(name, "/")
	for d := 1; d < len(parts); d++ {
		dir := strings.Join(parts[:d], "/")
		i, known := dirs[dir]
		if !known {
			if p.hidden(dir) {
				continue
			}
			i = len(p.nodes)
			dirs[dir] = i
			p.nodes = append(p.nodes, node{path: dir, depth: d - 1, dir: true})
		}
		p.nodes[i].files++
		p.nodes[i].bytes += a.Size
	}
	if !p.hidden(name) {
		p.nodes = append(p.nodes, node{path: name, depth: len(parts) - 1, a: a})
	}
}

// hidden tells whether a directory above path is shut.
func (p *artifactsPane) hidden(path string) bool {
	for i := strings.LastIndexByte(path, '/'); i > 0; i = strings.LastIndexByte(path[:i], '/') {
		if p.folded[path[:i]] {
			return true
		}
	}
	return false
}

func (p *artifactsPane) current() *node {
	if p.cursor < len(p.nodes) {
		return &p.nodes[p.cursor]
	}
	return nil
}

func (p *artifactsPane) move(m *Model, by motion) tea.Cmd {
	h := max(1, m.body()-1)
	switch {
	case by.ends < 0:
		p.cursor = 0
	case by.ends > 0:
		p.cursor = len(p.nodes) - 1
	}
	p.cursor = max(0, min(p.cursor+by.lines+by.pages*h/2, len(p.nodes)-1))
	p.first = scrolled(p.first, p.cursor, len(p.nodes), h)
	return nil
}

func (p *artifactsPane) click(m *Model, line int) tea.Cmd {
	i := p.first + line - 1
	if line < 1 || i >= len(p.nodes) {
		return nil
	}
	if i == p.cursor {
		return m.openArtifact()
	}
	p.cursor = i
	return nil
}

func (p *artifactsPane) toggle(m *Model) tea.Cmd {
	if n := p.current(); n != nil && n.gone == "" {
		if p.marked[n.path] {
			delete(p.marked, n.path)
		} else {
			p.marked[n.path] = true
		}
	}
	return p.move(m, motion{lines: 1})
}

func (p *artifactsPane) all() {
	if len(p.marked) > 0 {
		clear(p.marked)
		return
	}
	for _, n := range p.nodes {
		if !n.dir && n.gone == "" && !n.a.OwnLog() {
			p.marked[n.path] = true
		}
	}
}

func (p *artifactsPane) clear(*Model) (bool, tea.Cmd) { //nolint:unparam // as the other panes, one of which has something to do
	if len(p.marked) == 0 {
		return false, nil
	}
	clear(p.marked)
	return true, nil
}

func (p *artifactsPane) take(m *Model, msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case recordMsg:
		if msg.of != p.of || p.manifest != nil {
			return nil
		}
		p.reading.got(msg)
		switch {
		case msg.err != nil:
			p.problem = msg.err.Error()
		case msg.record.Manifest == nil:
			p.problem = "artifacts are known when the job has ended"
		default:
			p.problem = ""
			p.fill(msg.record.Manifest)
			return p.proceed(m)
		}
	case newsMsg:
		if r := m.jobs.find(p.of); msg.host == p.of.Host && p.manifest == nil && p.reading.again(r, msg.event) {
			return p.reading.ask(p.ctx, m.client, r)
		}
	case verdictMsg:
		if msg.pane == p {
			return p.judge(m, msg)
		}
	}
	return nil
}

// verify has the host's files read and compared with their digests.
func (m *Model) verifyArtifacts() tea.Cmd {
	p, ok := m.top().(*artifactsPane)
	if !ok || p.manifest == nil || p.checking {
		return nil
	}
	p.checking = true
	steps := make(chan verdictMsg)
	client, of := m.client, p.of
	do := m.long(p.ctx, "cyclops manifest verify "+of.String(), func(ctx context.Context) (string, error) {
		defer close(steps)
		bad, n := 0, 0
		err := client.Verify(ctx, of, func(name string, err error) {
			n++
			if err != nil {
				bad++
			}
			select {
			case steps <- verdictMsg{pane: p, name: name, err: err, steps: steps}:
			case <-ctx.Done():
			}
		})
		if err == nil && bad > 0 {
			err = fmt.Errorf("%d of %d artifacts do not match the manifest", bad, n)
		}
		if err != nil {
			return "", err
		}
		return counted(n, "artifact") + " read; all match the manifest", nil
	}, nil)
	return tea.Batch(do, p.receive(steps))
}

func (p *artifactsPane) receive(steps <-chan verdictMsg) tea.Cmd {
	return func() tea.Msg {
		if msg, ok := <-steps; ok {
			return msg
		}
		return verdictMsg{pane: p, over: true}
	}
}

func (p *artifactsPane) judge(_ *Model, msg verdictMsg) tea.Cmd {
	if msg.over {
		p.checking = false
		return nil
	}
	p.verdict[msg.name] = "ok"
	if msg.err != nil {
		p.verdict[msg.name] = msg.err.Error()
	}
	return p.receive(msg.steps)
}

// chosen are the artifacts that an action is about: those that are marked, or below a marked
// directory, else what is under the cursor.
func (p *artifactsPane) chosen() []string {
	if p.manifest == nil {
		return nil
	}
	marked := p.marked
	if n := p.current(); len(marked) == 0 && n != nil && n.gone == "" {
		marked = map[string]bool{n.path: true}
	}
	var names []string
	for _, a := range p.manifest.Artifacts {
		if marked[a.Name] || a.OwnLog() && marked[a.Path] || below(marked, a.Name) {
			names = append(names, a.Name)
		}
	}
	return names
}

func below(marked map[string]bool, name string) bool {
	for i := strings.LastIndexByte(name, '/'); i > 0; i = strings.LastIndexByte(name[:i], '/') {
		if marked[name[:i]] {
			return true
		}
	}
	return false
}

func (m *Model) fetchArtifacts() tea.Cmd {
	p, ok := m.top().(*artifactsPane)
	if !ok {
		return nil
	}
	names := p.chosen()
	if len(names) == 0 {
		m.say(notice{text: "there is nothing to fetch here", bad: true})
		return nil
	}
	clear(p.marked)
	return m.fetch(p.of, names, nil)
}

func (m *Model) copyDigest() tea.Cmd {
	p, ok := m.top().(*artifactsPane)
	if !ok || p.current() == nil {
		return nil
	}
	if p.current().a.Digest == "" {
		m.say(notice{text: "only a file has a digest", bad: true})
		return nil
	}
	return m.copy(string(p.current().a.Digest))
}

func onArtifacts() []action {
	return []action{
		{keys: []string{"enter", "l", "right"}, places: inArtifacts, name: "open", says: "shows a file, opens or shuts a directory", verb: "cp JOB:PATH -", hint: inArtifacts, do: (*Model).openArtifact},
		{keys: []string{"F"}, places: inArtifacts, name: "fetch", says: "brings what is marked to where a local run would have put it", verb: "fetch JOB PATTERN…", hint: inArtifacts, do: (*Model).fetchArtifacts},
		{keys: []string{"v"}, places: inArtifacts, name: "verify", says: "reads all files and compares them with their digests", verb: "manifest verify JOB", hint: inArtifacts, do: (*Model).verifyArtifacts},
		{keys: []string{"y"}, places: inArtifacts, name: "copy digest", says: "copies the digest of the file", do: (*Model).copyDigest},
	}
}

func (p *artifactsPane) status(m *Model) string {
	text := p.of.String()
	if p.manifest != nil {
		n, bytes := 0, int64(0)
		for _, a := range p.manifest.Artifacts {
			n, bytes = n+1, bytes+a.Size
		}
		text += fmt.Sprintf(" · %s, %s", counted(n, "file"), human.Size(bytes))
	}
	if len(p.marked) > 0 {
		text += fmt.Sprintf(" · %d marked", len(p.marked))
	}
	if p.checking {
		text += fmt.Sprintf(" · verifying, %d read", len(p.verdict))
	}
	return m.theme.dim.paint(fit(text, m.width-2))
}

func (p *artifactsPane) lines(m *Model, w, h int) []string {
	t := &m.theme
	switch {
	case p.problem != "":
		lines := []string{""}
		for _, text := range wrap(p.problem, w-4) {
			lines = append(lines, "  "+text)
		}
		return lines
	case p.manifest == nil:
		return []string{"", "  reading…"}
	case len(p.nodes) == 0:
		return []string{"", "  the job left no files"}
	}
	name := max(16, w-3-10-1-10-1-13-1-12)
	if w < 90 {
		name = max(16, w-3-10-1-10-1-12)
	}
	lines := []string{t.head.paint(fit("   "+fit("NAME", name)+fit("KIND", 11)+fitRight("SIZE", 10)+digestHead(w)+" STATE", w))}
	for i := scrolled(p.first, p.cursor, len(p.nodes), h-1); i < len(p.nodes) && len(lines) < h; i++ {
		lines = append(lines, p.line(t, i, name, w))
	}
	return lines
}

func digestHead(w int) string {
	if w < 90 {
		return ""
	}
	return " " + fit("DIGEST", 13)
}

func (p *artifactsPane) line(t *theme, i, name, w int) string {
	n := &p.nodes[i]
	mark := " "
	if p.marked[n.path] || below(p.marked, n.path) {
		mark = "●"
	}
	label := spaces(2*n.depth) + n.path[strings.LastIndexByte(n.path, '/')+1:]
	kind, size, digest, state, paint := string(n.a.Kind), human.Size(n.a.Size), "", "", t.dim
	switch {
	case n.gone != "":
		return p.finish(t, i, " "+mark+" ", fit(n.path+"  "+n.gone, w-3), "", t.warn, w)
	case n.dir:
		arrow := "▾ "
		if p.folded[n.path] {
			arrow = "▸ "
		}
		label = spaces(2*n.depth) + arrow + n.path[strings.LastIndexByte(n.path, '/')+1:] + "/"
		kind, size, state = counted(n.files, "file"), human.Size(n.bytes), ""
	default:
		digest = strings.TrimPrefix(string(n.a.Digest), "sha256:")
		state, paint = p.stateOf(t, n)
	}
	text := fit(label, name) + fit(kind, 11) + fitRight(size, 10)
	if w >= 90 {
		text += " " + fit(digest[:min(12, len(digest))], 13)
	}
	return p.finish(t, i, " "+mark+" ", text, " "+fit(state, max(0, w-3-width(text)-1)), paint, w)
}

// finish paints a line as one that is chosen, or its end as what it means.
func (p *artifactsPane) finish(t *theme, i int, mark, text, end string, paint ink, w int) string {
	if i == p.cursor {
		return t.selected.paint(fit(mark+text+end, w))
	}
	if end == "" {
		return mark + paint.paint(text)
	}
	return t.marked.paint(mark) + text + paint.paint(end)
}

// stateOf says whether a file is this job's, and whether it was verified.
func (p *artifactsPane) stateOf(t *theme, n *node) (string, ink) {
	key := n.a.Name
	switch verdict := p.verdict[key]; {
	case verdict == "ok":
		return "✓ verified", t.good
	case verdict != "":
		return "✗ " + verdict, t.bad
	case !n.a.Fresh && !n.a.OwnLog():
		return "stale", t.warn
	case n.a.Volatile:
		return "in workspace", t.dim
	case n.a.Kind == manifest.KindSymlink:
		return "→ " + n.a.Target, t.dim
	}
	return "", t.dim
}
