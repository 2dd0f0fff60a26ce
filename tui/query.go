package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/human"
)

// Query is what the filter of the jobs says. Terms of different keys must all hold, of values with
// commas between them one.
type Query struct {
	Source  string // as it was typed
	Hosts   []string
	States  []manifest.State
	Name    match
	Owner   match
	Project match
	ID      string // its beginning
	Since   time.Time
	Until   time.Time
	Words   []string // anywhere in what people read of a job
}

// match is a value that must be equal, or with ~ in front be within.
type match struct {
	text   string
	within bool
}

func (m match) holds(value string) bool {
	if m.within {
		return strings.Contains(strings.ToLower(value), strings.ToLower(m.text))
	}
	return m.text == "" || value == m.text
}

// queryKeys are the keys of the language, in the order in which they are offered.
var queryKeys = []struct{ key, says string }{
	{"state", "queued, running, succeeded, failed, cancelled, timed-out, lost; several with commas"},
	{"host", "on this host"},
	{"name", "of this name; ~ in front: with this in it"},
	{"project", "of this project, likewise"},
	{"owner", "of this owner, likewise"},
	{"since", "accepted no longer ago: 30m, 6h, 2d, 1w, or a date"},
	{"until", "accepted before"},
	{"id", "whose id begins so"},
}

// ParseQuery reads a filter. It may be read again whenever now counts.
func ParseQuery(text string, now time.Time) (Query, error) {
	q := Query{Source: text}
	for _, word := range strings.Fields(text) {
		key, value, keyed := strings.Cut(word, ":")
		if !keyed {
			q.Words = append(q.Words, strings.ToLower(word))
			continue
		}
		if err := q.term(key, value, now); err != nil {
			return q, err
		}
	}
	return q, nil
}

func (q *Query) term(key, value string, now time.Time) (err error) {
	if value == "" {
		return fmt.Errorf("%s: needs a value", key)
	}
	switch key {
	case "state":
		return q.states(value)
	case "host":
		q.Hosts = append(q.Hosts, strings.Split(value, ",")...)
	case "name":
		q.Name = matchOf(value)
	case "project":
		q.Project = matchOf(value)
	case "owner":
		q.Owner = matchOf(value)
	case "since":
		q.Since, err = human.ParseMoment(value, now)
	case "until":
		q.Until, err = human.ParseMoment(value, now)
	case "id":
		q.ID = value
	default:
		return fmt.Errorf("there is no key %q: %s", key, strings.Join(keys(), ", "))
	}
	return err
}

func keys() []string {
	var all []string
	for _, k := range queryKeys {
		all = append(all, k.key)
	}
	return all
}

func matchOf(value string) match {
	text, within := strings.CutPrefix(value, "~")
	return match{text, within}
}

func (q *Query) states(value string) error {
	for word := range strings.SplitSeq(value, ",") {
		s := manifest.State(word)
		if !slices.Contains(manifest.States, s) {
			return fmt.Errorf("there is no state %q", word)
		}
		q.States = append(q.States, s)
	}
	return nil
}

// Holds tells whether a job of host is among what the query asks for. It is asked of every job,
// also of those that a host selected: older hosts do not know all of the language.
func (q *Query) Holds(host string, j *api.JobInfo) bool {
	switch {
	case len(q.Hosts) > 0 && !slices.Contains(q.Hosts, host),
		len(q.States) > 0 && !slices.Contains(q.States, j.State),
		!q.Name.holds(j.Name), !q.Owner.holds(j.Owner), !q.Project.holds(j.Project),
		!strings.HasPrefix(j.ID, q.ID),
		!q.Since.IsZero() && j.Accepted.Before(q.Since), !q.Until.IsZero() && !j.Accepted.Before(q.Until):
		return false
	}
	for _, w := range q.Words {
		if !mentions(host, j, w) {
			return false
		}
	}
	return true
}

// mentions tells whether what people read of a job has a word in it, which is in small letters.
func mentions(host string, j *api.JobInfo, word string) bool {
	for _, text := range []string{j.ID, j.Name, j.Project, j.Owner, j.Command, j.Reason, string(j.State), host, j.Workspace} {
		if strings.Contains(strings.ToLower(text), word) {
			return true
		}
	}
	return false
}

// EndedStates are the states of jobs in a history that the query asks for; none: it asks for no history.
func (q *Query) EndedStates() []manifest.State {
	var ended []manifest.State
	for _, s := range manifest.States {
		if s.Ended() && (len(q.States) == 0 || slices.Contains(q.States, s)) {
			ended = append(ended, s)
		}
	}
	return ended
}

// IndexedText is a word of the query that the index of host can look for, or empty. Holds looks
// for all of them: it finds a word also in the state and the host's name, which no index has, and
// whatever its case, which an index knows of ASCII only and not of what JSON writes otherwise.
func (q *Query) IndexedText(host string) string {
	for _, w := range q.Words {
		within := func(s manifest.State) bool { return strings.Contains(string(s), w) }
		odd := func(r rune) bool { return r < 0x20 || r >= 0x7f || strings.ContainsRune(`"\<>&`, r) }
		if !slices.ContainsFunc(manifest.States, within) && !strings.Contains(strings.ToLower(host), w) && !strings.ContainsFunc(w, odd) {
			return w
		}
	}
	return ""
}

// Equal returns the name, owner and project that must be equal, and what the name must have in it.
func (q *Query) Equal() (name, like, owner, project string) {
	if q.Name.within {
		like = q.Name.text
	} else {
		name = q.Name.text
	}
	if !q.Owner.within {
		owner = q.Owner.text
	}
	if !q.Project.within {
		project = q.Project.text
	}
	return name, like, owner, project
}

// queryHelp says what the key that is being typed is about.
func queryHelp(typed string) string {
	word := typed[strings.LastIndexByte(typed, ' ')+1:]
	key, _, _ := strings.Cut(word, ":")
	for _, k := range queryKeys {
		if key != "" && strings.HasPrefix(k.key, key) {
			return k.key + ": " + k.says
		}
	}
	return "state:failed,lost host:lab name:~uart project: owner: since:2d until: id: — or any word; tab completes"
}

// complete returns whole filters that begin with what was typed: keys for a word that is begun,
// then the values that are known for it.
func complete(typed string, known map[string][]string) []string {
	at := strings.LastIndexByte(typed, ' ') + 1
	head, word := typed[:at], typed[at:]
	key, value, keyed := strings.Cut(word, ":")
	var all []string
	if !keyed {
		for _, k := range queryKeys {
			if word != "" && strings.HasPrefix(k.key, word) {
				all = append(all, head+k.key+":")
			}
		}
		return all
	}
	before, last := "", value
	if i := strings.LastIndexByte(value, ','); i >= 0 {
		before, last = value[:i+1], value[i+1:]
	}
	tilde := ""
	if strings.HasPrefix(last, "~") {
		tilde, last = "~", last[1:]
	}
	for _, v := range known[key] {
		if strings.HasPrefix(v, last) && v != last {
			all = append(all, head+key+":"+before+tilde+v)
		}
	}
	return all
}

// known are the values that the filter's completion offers.
func (p *jobsPane) known(hosts []*hostState) map[string][]string {
	sets := map[string]map[string]bool{"name": {}, "project": {}, "owner": {}}
	for _, l := range p.view {
		if l.row == nil {
			continue
		}
		for key, value := range map[string]string{"name": l.row.Name, "project": l.row.Project, "owner": l.row.Owner} {
			if value != "" && clean(value) == value && !strings.ContainsAny(value, " \t") && len(sets[key]) < 50 {
				sets[key][value] = true
			}
		}
	}
	known := map[string][]string{"since": {"30m", "6h", "2d", "1w"}, "until": {"6h", "2d", "1w"}}
	for key, set := range sets {
		for value := range set {
			known[key] = append(known[key], value)
		}
		slices.Sort(known[key])
	}
	for _, s := range manifest.States {
		known["state"] = append(known["state"], string(s))
	}
	for _, h := range hosts {
		known["host"] = append(known["host"], h.Name)
	}
	return known
}
