package install

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/connect"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
)

// Verdict is what a check came to.
type Verdict string

// The verdicts.
const (
	OK   Verdict = "ok"
	Warn Verdict = "warn"
	Fail Verdict = "fail"
)

// Check is one link of the chain to a host's executor.
type Check struct {
	Name    string  `json:"name"`
	Verdict Verdict `json:"verdict"`
	Text    string  `json:"text"`           // what was found
	Hint    string  `json:"hint,omitempty"` // what to do
}

// examination gathers checks; what depends on a failed one is left out.
type examination struct {
	checks []Check
	say    func(Check)
}

func (x *examination) add(c Check) {
	x.checks = append(x.checks, c)
	if x.say != nil {
		x.say(c)
	}
}

func (x *examination) ok(name, format string, args ...any) {
	x.add(Check{Name: name, Verdict: OK, Text: fmt.Sprintf(format, args...)})
}

func (x *examination) warn(name, hint, format string, args ...any) {
	x.add(Check{Name: name, Verdict: Warn, Text: fmt.Sprintf(format, args...), Hint: hint})
}

func (x *examination) fail(name string, err error) {
	c := Check{Name: name, Verdict: Fail, Text: err.Error()}
	var e *api.Error
	if errors.As(err, &e) {
		c.Hint = e.Hint
	}
	x.add(c)
}

// Doctor checks each link of the chain to a host, on a connection of its own, and tells each
// result as it is known. It stops at what nothing behind it can work without. full has the host read
// every byte that it keeps.
func Doctor(ctx context.Context, host hosts.Host, opt connect.Options, full bool, say func(Check)) []Check {
	x := &examination{say: say}
	c, err := x.connect(ctx, host, opt)
	if err != nil {
		return x.checks
	}
	defer c.Close()
	x.sftp(ctx, c)
	h, err := Probe(ctx, c)
	if err != nil {
		x.fail("platform", err)
		return x.checks
	}
	x.machine(h)
	asked := time.Now()
	hello, err := c.Hello(ctx)
	if err != nil {
		x.fail("executor", err)
		return x.checks
	}
	took := time.Since(asked)
	x.ok("executor", "answers as %s, store %s, in %v", hello.Executor, hello.Store, took.Round(time.Millisecond))
	x.version(hello, host)
	x.disk(hello)
	x.environment(ctx, c)
	x.data(ctx, c, full)
	x.clock(hello.Clock, asked, took)
	return x.checks
}

func (x *examination) connect(ctx context.Context, host hosts.Host, opt connect.Options) (*connect.Conn, error) {
	if host.IsLocal() {
		return connect.Open(host, opt), nil
	}
	failed := false
	c, err := connect.OpenTraced(ctx, host, opt, func(s connect.Step) {
		if s.Err != nil {
			failed = true
			x.fail(s.Name, s.Err)
			return
		}
		x.ok(s.Name, "%s", s.Text)
	})
	if err != nil && !failed {
		x.fail("connect", err)
	}
	return c, err
}

func (x *examination) sftp(ctx context.Context, c *connect.Conn) {
	client, err := c.SFTP(ctx)
	if err != nil {
		x.warn("sftp", "enable `Subsystem sftp` in the host's sshd_config", "%v; files go through the executor once it is there", err)
		return
	}
	client.Close()
	x.ok("sftp", "works")
}

const (
	littleKiB = 1 << 20 // a GiB: the next bitstream may not fit
	noneKiB   = 64 << 10
)

func (x *examination) machine(h *Host) {
	if supported(h) {
		x.ok("platform", "%s/%s", h.OS, h.Arch)
	} else {
		x.fail("platform", api.Errorf(api.NoExecutor, "executors run on Linux: amd64, arm64, arm", "%s/%s", h.OS, h.Arch))
	}
	switch free := fmt.Sprintf("%d MiB free where %s is", h.FreeKiB>>10, h.Data); {
	case h.FreeKiB < 0:
		x.warn("disk space", "", "not known")
	case h.FreeKiB < noneKiB:
		x.fail("disk space", api.Errorf(api.NoSpace, "remove jobs with cyclops rm, or set data in the host's config to another disk", "%s", free))
	case h.FreeKiB < littleKiB:
		x.warn("disk space", "remove jobs with cyclops rm", "%s", free)
	default:
		x.ok("disk space", "%s", free)
	}
	if h.FileType == "nfs" || h.FileType == "nfs4" {
		x.warn("data directory", "set data in the host's config to a local disk", "%s is on NFS, where locks and databases are not safe", h.Data)
	}
	if text := mortal(h); text != "" {
		x.warn("stays running", "", "%s", text)
	}
}

func (x *examination) version(hello api.Hello, host hosts.Host) {
	mine := api.BuildVersion()
	if hello.Executor == mine || host.IsLocal() {
		x.ok("version", "%s, API %d", hello.Executor, hello.API)
		return
	}
	x.warn("version", "cyclops install "+host.Name, "the executor is %s, this cyclops %s; they understand each other (API %d)", hello.Executor, mine, hello.API)
}

func (x *examination) environment(ctx context.Context, c *connect.Conn) {
	client := newClient(c)
	defer client.Close()
	r, err := client.Environment(ctx)
	switch {
	case err != nil:
		x.fail("environment", err)
	case r.Warning != "":
		x.warn("environment", "look at the login shell's start-up files", "%s", r.Warning)
	default:
		x.ok("environment", "%d variables of %s, PATH is %s", len(r.Names), r.Shell, r.Path)
	}
	if err != nil {
		return
	}
	x.limits(r.Limits)
	if r.SamePathOff == "" {
		x.ok("same path", "jobs can see the tree at the path that it has here")
		return
	}
	// Nothing is wrong with such a host: jobs run all the same.
	x.add(Check{Name: "same path", Verdict: OK, Text: "off: " + r.SamePathOff, Hint: "jobs see the tree where the host keeps it; docs/same-path.md says what the host's administrator can change"})
}

// limits says what a job may use there, and what of that nothing enforces.
func (x *examination) limits(all []api.LimitReport) {
	var hold, not []string
	for _, l := range all {
		if l.NotEnforced == "" {
			hold = append(hold, l.Name+" "+l.Value)
		} else {
			not = append(not, fmt.Sprintf("%s %s (%s)", l.Name, l.Value, l.NotEnforced))
		}
	}
	if len(hold) > 0 {
		x.ok("limits", "each job: %s", strings.Join(hold, ", "))
	}
	if len(not) > 0 {
		x.warn("limits", "docs/host-config.md says what a host needs for that", "not enforced: %s", strings.Join(not, "; "))
	}
}

// disk says whether jobs are taken and started.
func (x *examination) disk(hello api.Hello) {
	if hello.Status != nil && hello.Status.Trouble != "" {
		x.fail("jobs", api.Errorf(api.Refused, "see what the kernel log there says of its disk; cyclopsd stop there, and the next call starts it again", "%s", hello.Status.Trouble))
	}
}

// maxFindings bounds how many findings one check tells.
const maxFindings = 10

// data has the host look whether what it keeps is as it was written.
func (x *examination) data(ctx context.Context, c *connect.Conn, full bool) {
	client := newClient(c)
	defer client.Close()
	r, err := client.Check(ctx, full)
	switch {
	case api.KindOf(err) == api.NotFound:
		return // an executor that cannot look yet; its version is told above
	case err != nil:
		x.fail("data", err)
		return
	case len(r.Findings) == 0 && full:
		x.ok("data", "%d jobs, %d packs: every byte is as it was written", r.Jobs, r.Packs)
	case len(r.Findings) == 0:
		x.ok("data", "%d jobs, %d packs: records and sizes are as they were written; --full reads every byte", r.Jobs, r.Packs)
	}
	for i, f := range r.Findings {
		if i == maxFindings {
			x.fail("data", fmt.Errorf("and %d more", len(r.Findings)-i))
			return
		}
		x.fail("data", api.Errorf(api.Corrupt, "cyclopsd check --repair there: "+f.Help, "%s %s: %s", f.Kind, f.Name, f.Wrong))
	}
}

// skewed is from where on two clocks are worth a word; fetched files carry corrected times.
const skewed = 2 * time.Second

func (x *examination) clock(theirs, asked time.Time, took time.Duration) {
	off := theirs.Sub(asked.Add(took / 2))
	if off.Abs() <= skewed+took/2 {
		x.ok("clock", "within %v of this one", (skewed + took/2).Round(time.Second/10))
		return
	}
	x.warn("clock", "set both by NTP", "the host's clock is off by %v", off.Round(time.Second/10))
}
