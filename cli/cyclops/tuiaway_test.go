//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cyclops-fpga/cyclops/remote/sshtest"
)

// followed is a screen that shows a job which goes on when a test lets it.
type followed struct{ *tmux }

// steered writes five lines, five more once it is let, and ends with a report once it is let again.
// $HERE stands for a directory of the test's.
const steered = `say() { for i in 1 2 3 4 5; do echo $1 $i; done; }
say before; while [ ! -e $HERE/more ]; do sleep 0.05; done
say during; while [ ! -e $HERE/end ]; do sleep 0.05; done
say after; mkdir build; echo fmax 48 MHz >build/top.rpt; echo 'ERROR: [X 1] bad net' >&2; exit 3`

// newFollowed starts a job and a screen on which it runs.
func newFollowed(u *client, script string) *followed {
	u.t.Helper()
	u.write("cyclops.toml", "name = \"away\"\n", 0o644)
	u.write("job.sh", strings.ReplaceAll(script, "$HERE", u.home), 0o644)
	if got := u.cyclops("", "submit", "--isolated", "--name", "long", "--output", "build/**", "--", "sh", "job.sh"); got.code != 0 {
		u.t.Fatal(got)
	}
	f := &followed{newTmux(u)}
	f.begin()
	f.see("long", "running")
	return f
}

func (f *followed) let(what string) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.home, what), nil, 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// goesOn has the job write more, which nobody sees yet.
func (f *followed) goesOn() {
	f.t.Helper()
	f.let("more")
	f.wrote("during 5\n")
}

// ends has it end, which nobody sees yet.
func (f *followed) ends() {
	f.t.Helper()
	f.let("end")
	eventually(f.t, "the end of the job", func() bool { return len(f.ofJob("manifest.json")) > 0 })
}

// wrote waits until the job's log, as it lies on the host, has a text.
func (f *followed) wrote(text string) {
	f.t.Helper()
	eventually(f.t, text, func() bool { return bytes.Contains(f.ofJob("log"), []byte(text)) })
}

// ofJob is a file of the job as it lies on the host, or nothing.
func (f *followed) ofJob(name string) []byte {
	f.t.Helper()
	found, err := filepath.Glob(filepath.Join(f.home, "d", "jobs", "*", name))
	if err != nil || len(found) == 0 {
		return nil
	}
	data, err := os.ReadFile(found[0])
	if err != nil && !os.IsNotExist(err) {
		f.t.Fatal(err)
	}
	return data
}

// shows waits until the lines of the job on the screen are these, each once and in order.
func (f *followed) shows(groups ...string) {
	f.t.Helper()
	var want []string
	for _, group := range groups {
		for i := range 5 {
			want = append(want, fmt.Sprintf("%s %d", group, i+1))
		}
	}
	f.until("lines "+strings.Join(groups, ", "), func(screen string) bool {
		return slices.Equal(saidLine.FindAllString(screen, -1), want)
	})
}

var saidLine = regexp.MustCompile(`\b(before|during|after) \d\b`)

// outage is such a screen whose host goes away and comes back.
type outage struct {
	*followed
	line *sshtest.Cutter
}

func newOutage(t *testing.T, script string) *outage {
	t.Helper()
	server := sshtest.Start(t, sshtest.Options{MaxSessions: 100, Extra: []string{"MaxStartups 100"}})
	line := server.Cutter()
	u := newUser(t, server)
	u.env = append(u.env, "CYCLOPS_SSH_CONFIG="+line.ConfigFile)
	u.twoHosts(filepath.Join(u.home, "d"))
	return &outage{newFollowed(u, script), line}
}

// down takes the host away and waits until the screen says so.
func (o *outage) down() {
	o.t.Helper()
	o.line.Down()
	o.see("1 lost")
}

// up brings it back, and waits until the screen says so: no key is typed.
func (o *outage) up() {
	o.t.Helper()
	o.line.Up()
	o.until("the host again", func(s string) bool { return !strings.Contains(s, "1 lost") })
}

// opensHelp types keys that any place obeys, however its host does.
func (o *outage) opensHelp(place string) {
	o.t.Helper()
	o.keys("?")
	o.see("The keys of this place: " + place)
	o.keys("q")
	o.until("the place again", func(s string) bool { return !strings.Contains(s, "The keys of this place") })
}

// A log that is followed goes on behind an outage where it stopped, line for line, and once more.
func TestScreenFollowsALogOverOutages(t *testing.T) {
	t.Parallel()
	o := newOutage(t, steered)
	o.keys("t")
	o.shows("before")
	o.down()
	o.opensHelp("log")
	o.keys("w")
	o.see("wrapped")
	o.goesOn()
	o.up()
	o.shows("before", "during")
	o.see("following")
	o.down()
	o.ends()
	o.up()
	o.shows("before", "during", "after")
	o.see("complete", "bad net")
	o.keys("q")
	o.see("failed (3)", "long")
}

// A log that stood still while its host was away is followed by the key that always does that.
func TestScreenFollowsALogAgainDuringAnOutage(t *testing.T) {
	t.Parallel()
	o := newOutage(t, steered)
	o.keys("t")
	o.shows("before")
	o.keys("f")
	o.see("stands still")
	o.down()
	o.keys("f")
	o.see("waits for " + o.server.Name)
	o.goesOn()
	o.up()
	o.shows("before", "during")
	o.see("following")
	o.ends()
	o.shows("before", "during", "after")
	o.see("complete")
}

// A log that is opened while its host is away says so, and comes when the host does.
func TestScreenOpensALogDuringAnOutage(t *testing.T) {
	t.Parallel()
	o := newOutage(t, steered)
	o.down()
	o.keys("t")
	o.see("long › log", "it is read when "+o.server.Name+" is back")
	o.opensHelp("log")
	o.goesOn()
	o.up()
	o.shows("before", "during")
	o.see("following")
	o.ends()
	o.shows("before", "during", "after")
	o.see("complete")
}

// A line that is dead and says nothing is noticed, and neither the keys nor leaving wait for it.
func TestScreenNoticesASilentLine(t *testing.T) {
	t.Parallel()
	o := newOutage(t, steered)
	o.keys("t")
	o.shows("before")
	o.line.Freeze()
	o.goesOn()
	o.see("1 lost")
	o.opensHelp("log")
	o.line.Thaw()
	o.shows("before", "during")
	o.until("the host again", func(s string) bool { return !strings.Contains(s, "1 lost") })
	o.line.Freeze()
	o.ends()
	o.keys("q")
	o.see("WHAT", "long")
	o.keys("q")
	eventually(t, "the screen of before", func() bool { return strings.TrimSpace(o.do("display-message", "-p", "#{alternate_on}")) == "0" })
}

// A job that ended while its host was away says how, with all that is known of ended jobs.
func TestScreenShowsAJobThatEndedDuringAnOutage(t *testing.T) {
	t.Parallel()
	o := newOutage(t, steered)
	o.keys("Enter")
	o.see("Steps", "running")
	o.keys("w")
	o.see("1 watched")
	o.down()
	o.see("does not answer; this is what was last known", "running")
	o.opensHelp("job")
	o.goesOn()
	o.ends()
	o.up()
	o.see("failed (3)", "exit code 3", "Errors and warnings", "bad net", "Outputs")
	o.until("no word of the outage", func(s string) bool { return !strings.Contains(s, "does not answer") })
	o.told("\x1b]9;cyclops: long (" + o.server.Name + "/")
}

// Artifacts of a job that ended while its host was away show up where one waits for them.
func TestScreenShowsArtifactsBehindAnOutage(t *testing.T) {
	t.Parallel()
	o := newOutage(t, steered)
	o.keys("a")
	o.see("artifacts are known when the job has ended")
	o.down()
	o.opensHelp("artifacts")
	o.goesOn()
	o.ends()
	o.up()
	o.see("top.rpt", "report")
	o.keys("v")
	o.see("✓ verified", "match the manifest")
}

// Places that are opened while the host is away fill when it is back, the one behind the other too.
func TestScreenFillsPlacesOpenedDuringAnOutage(t *testing.T) {
	t.Parallel()
	o := newOutage(t, steered)
	o.down()
	o.keys("Enter")
	o.see("Steps", "does not answer; this is what was last known")
	o.dismiss()
	o.keys("a")
	o.see("artifacts", o.server.Name+"/")
	o.goesOn()
	o.ends()
	o.up()
	o.see("top.rpt", "report")
	o.keys("q")
	o.see("failed (3)", "exit code 3", "bad net", "Outputs")
}

// The table shows what was last known, what is asked of a host that is away fails at once and says
// why, and both change by themselves when it is back.
func TestScreenTablesDuringAnOutage(t *testing.T) {
	t.Parallel()
	o := newOutage(t, steered)
	o.down()
	o.see("long", "running")
	o.keys("s")
	o.see("by ")
	o.keys("c")
	o.see("Cancel long", "[y/N]")
	o.keys("y")
	o.see("cyclops cancel "+o.server.Name+"/", "esc dismisses it")
	o.dismiss()
	o.hosts()
	o.says("lost")
	o.see("problem", "asked again every")
	o.goesOn()
	o.ends()
	o.up()
	o.says(o.version())
	o.says("0 of")
	o.keys("1")
	o.see("failed (3)", "long")
}

// numbered writes lines without a pause, so that a line to the host breaks in the middle of one.
const numbered = `i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo number $i; sleep 0.01; done`

var numberLine = regexp.MustCompile(`(?m)^ *number (\d+)$`)

// numbers are those on the screen.
func (x *tmux) numbers(screen string) (list []int) {
	for _, found := range numberLine.FindAllStringSubmatch(screen, -1) {
		n, err := strconv.Atoi(found[1])
		if err != nil {
			x.t.Fatal(err)
		}
		list = append(list, n)
	}
	return list
}

// reached waits until a number of at least n is on the screen.
func (x *tmux) reached(n int) {
	x.t.Helper()
	x.until(fmt.Sprintf("number %d", n), func(screen string) bool {
		seen := x.numbers(screen)
		return len(seen) > 0 && seen[len(seen)-1] >= n
	})
}

// A line that breaks again and again while a log flows through it costs it no line, and adds none:
// read back to its begin, what was followed is whole.
func TestScreenFollowsALogThroughCuts(t *testing.T) {
	t.Parallel()
	o := newOutage(t, numbered)
	o.keys("t")
	for _, n := range []int{20, 60, 100, 140} {
		o.reached(n)
		o.line.Reset()
	}
	o.reached(180)
	o.down()
	o.wrote("number 300\n")
	o.up()
	o.see("complete", "number 400")
	o.dismiss()
	o.readsBack(400)
}

// readsBack goes from the end of a log of n numbers to its begin by halves of the screen, so that
// every two lines that follow each other are on one screen together.
func (o *outage) readsBack(n int) {
	o.t.Helper()
	for above := n + 1; above > 1; {
		var seen []int
		o.until(fmt.Sprintf("what is above number %d", above), func(screen string) bool {
			seen = o.numbers(screen)
			return len(seen) > 0 && seen[0] < above
		})
		for i, number := range seen {
			if number != seen[0]+i {
				o.t.Fatalf("the log shows %v", seen)
			}
		}
		above = seen[0]
		o.keys("C-u")
	}
}
