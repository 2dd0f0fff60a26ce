package cli

import (
	"fmt"
	"sync"
	"time"

	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest/human"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/cyclops-fpga/cyclops/remote/retry"
	"github.com/spf13/pflag"
)

// scriptPatience is the patience where nobody watches who could give up.
const scriptPatience = 5 * time.Minute

// unsaid is how long contact may be lost before it is worth a word: a line that only broke is
// back sooner, and a script's stderr must not tell of it. With the time that it takes to notice a line
// that is silent, 4 s, it must stay below 5 s.
const unsaid = 600 * time.Millisecond

// patienceFlag is the value of --patience.
type patienceFlag struct{ set *hosts.Patience }

// Set reads the flag.
func (f *patienceFlag) Set(text string) error {
	f.set = new(hosts.Patience)
	return f.set.UnmarshalText([]byte(text))
}

// String is empty: the help says in words what the default is.
func (f *patienceFlag) String() string { return "" }

// Type names the value in the help.
func (f *patienceFlag) Type() string { return "duration" }

func (f *patienceFlag) register(flags *pflag.FlagSet) {
	flags.Var(f, "patience", "go on for this `DURATION` without contact, or \"forever\" (default: on a terminal for ever, else 5m)")
}

// contact is the patience of a command and what it says of the line to the host: one for all
// the work of the command, so that a line that is gone is said once.
type contact struct {
	retry.Patience
	app    *App
	host   string
	status *term.Status // nil: none

	mu     sync.Mutex
	way    func() string // how to leave, for people
	window *window       // shows it while a terminal is raw; nil: it is not
	since  time.Time     // contact was lost; zero: there is contact
	reason string
	said   bool
	stop   chan struct{} // ends the telling
	done   chan struct{}
}

// newContact makes the contact of a command with host; it becomes that of app.
func (app *App) newContact(f patienceFlag, config *hosts.Config, host string, status *term.Status) *contact {
	c := &contact{app: app, host: host, status: status, way: func() string { return "Ctrl-C gives up" }}
	c.Limit = patienceLimit(f, config, term.IsTerminal(app.Err))
	c.Lost, c.Back = c.lost, c.back
	app.contact = c
	return c
}

// patience is that of the command under way; one that follows no job has what its config says.
func (app *App) patience(host string) *retry.Patience {
	if app.contact == nil {
		config, err := hosts.Load(app.dirs)
		if err != nil {
			config = new(hosts.Config)
		}
		app.newContact(patienceFlag{}, config, host, app.status)
	}
	c := app.contact
	c.mu.Lock()
	defer c.mu.Unlock()
	c.host = host
	return &c.Patience
}

func patienceLimit(f patienceFlag, config *hosts.Config, watched bool) time.Duration {
	limit := hosts.Patience(scriptPatience)
	if watched {
		limit = hosts.Forever
	}
	if config.Patience != nil {
		limit = *config.Patience
	}
	if f.set != nil {
		limit = *f.set
	}
	switch limit {
	case hosts.Forever:
		return 0
	case 0:
		return 1 // the first broken line is the end
	}
	return time.Duration(limit)
}

// lost begins to tell, unless contact is back soon.
func (c *contact) lost(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.since, c.reason, c.said = time.Now(), reasonOf(err), false
	c.stop, c.done = make(chan struct{}), make(chan struct{})
	go c.tell(c.stop, c.done)
}

// reasonOf is the part of an error that a person can act on.
func reasonOf(err error) string {
	if api.KindOf(err) == api.LostContact {
		return "" // that is all it says
	}
	return term.Clean(firstLine(err.Error()))
}

func (c *contact) tell(stop, done chan struct{}) {
	defer close(done)
	tick := time.NewTicker(unsaid)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			c.say()
		}
	}
}

// say shows that contact is lost, in place where there is one. It holds no lock while it does:
// the status line asks for the text under its own.
func (c *contact) say() {
	c.mu.Lock()
	first, window, text := !c.said, c.window, c.text()
	c.said = true
	c.mu.Unlock()
	switch {
	case window.isRaw() && term.IsTerminal(c.app.Err):
		window.notice(text)
	case !first:
	case !term.IsTerminal(c.app.Err):
		fmt.Fprintf(c.app.stderr, "cyclops: lost contact with %s; trying again\n", c.host)
	case c.status != nil:
		c.status.Over(func() string {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.text()
		})
	default:
		c.app.warn("lost contact with %s; trying again", c.host)
	}
}

// text wants mu.
func (c *contact) text() string {
	if c.since.IsZero() {
		return ""
	}
	text := fmt.Sprintf("lost contact with %s %s ago; trying again (%s)", c.host, human.Age(time.Since(c.since)), c.way())
	if c.reason != "" {
		text += ": " + c.reason
	}
	return text
}

// back takes away what was said.
func (c *contact) back() {
	away, said := c.quiet()
	c.mu.Lock()
	window := c.window
	c.mu.Unlock()
	switch {
	case !said:
	case window.isRaw() && term.IsTerminal(c.app.Err):
		window.redraw()
	case !term.IsTerminal(c.app.Err):
		fmt.Fprintf(c.app.stderr, "cyclops: contact with %s is back after %s\n", c.host, human.Duration(away))
	case c.status == nil:
		c.app.warn("contact with %s is back after %s", c.host, human.Duration(away))
	}
}

// quiet ends the telling; it is called when contact is back and when the command ends.
func (c *contact) quiet() (away time.Duration, said bool) {
	c.mu.Lock()
	stop, done, window := c.stop, c.done, c.window
	away, said = time.Since(c.since), c.said
	c.since, c.said, c.stop = time.Time{}, false, nil
	c.mu.Unlock()
	if stop == nil {
		return 0, false
	}
	close(stop)
	<-done
	if c.status != nil {
		c.status.Over(nil)
	}
	window.clearNotice()
	return away, said
}

// gone tells whether there is no contact now.
func (c *contact) gone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.since.IsZero()
}

// show has c tell on a raw terminal w, or no longer, and says how that is left.
func (c *contact) show(w *window, way func() string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.window, c.way = w, way
}
