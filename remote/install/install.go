package install

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/connect"
	"github.com/cyclops-fpga/cyclops/remote/retry"
)

// Options say how to install.
type Options struct {
	Binary string            // an executor to take instead of the one that would be chosen
	Self   string            // path of this program
	Say    func(text string) // told each thing that was done; nil: nobody
}

func (o Options) say(format string, args ...any) {
	if o.Say != nil {
		o.Say(fmt.Sprintf(format, args...))
	}
}

// Report is what an installation left on a host.
type Report struct {
	Host    string    `json:"host"`
	Changed bool      `json:"changed"` // false: there was nothing to do
	Path    string    `json:"path"`    // of the executor
	Digest  string    `json:"digest"`
	From    string    `json:"from"`              // where the executor came from
	Bytes   int64     `json:"bytes"`             // uploaded
	Manager string    `json:"manager"`           // what keeps it running: "systemd", or "dial": the next client starts it
	Warning string    `json:"warning,omitempty"` // what may end it
	Hello   api.Hello `json:"hello"`
}

// Install brings the executor of a host to the version at hand, starts it and makes sure that it
// answers. Jobs that run there go on.
func Install(ctx context.Context, c *connect.Conn, opt Options) (*Report, error) {
	name := c.Host().Name
	if c.Local() {
		return nil, api.Errorf(api.Usage, "", "the host %s needs no installation", name)
	}
	if c.Host().Executor != "" {
		return nil, api.Errorf(api.Usage, "take executor out of [hosts."+name+"] to have one installed", "the config names %s as the executor of %s", c.Host().Executor, name)
	}
	h, err := Probe(ctx, c)
	if err != nil {
		return nil, err
	}
	opt.say("%s is %s/%s, with %s", name, h.OS, h.Arch, h.Data)
	b, err := choose(ctx, h, opt)
	if err != nil {
		return nil, err
	}
	r := &Report{Host: name, Digest: "sha256:" + b.digest, From: b.from, Path: path.Join(h.Data, "bin", h.Current)}
	if h.Digest != b.digest {
		if err := replace(ctx, c, h, b, r, opt); err != nil {
			return nil, err
		}
	}
	if err := start(ctx, c, h, r, opt); err != nil {
		return nil, err
	}
	return r, run(ctx, c, pruneScript)
}

// replace uploads the executor and makes it the current one.
func replace(ctx context.Context, c *connect.Conn, h *Host, b *binary, r *Report, opt Options) error {
	version, upload, err := put(ctx, c, b)
	if retry.Broken(err) && ctx.Err() == nil { // nothing there has changed yet
		opt.say("the line broke, trying again")
		version, upload, err = put(ctx, c, b)
	}
	if err != nil {
		return err
	}
	r.Changed, r.Bytes = true, int64(len(b.data))
	opt.say("uploaded %d bytes (%s), digest verified there", len(b.data), b.from)
	file := fileName(version, b.digest)
	r.Path = path.Join(h.Data, "bin", file)
	if err := run(ctx, c, switchScript, "upload", upload, "file", file); err != nil {
		return err
	}
	opt.say("made %s the current executor", r.Path)
	return nil
}

// putScript takes the executor from standard input; it must run there and have arrived whole.
const putScript = `umask 077
mkdir -p "$data/bin" && chmod 700 "$data" && rm -f "$data"/bin/cyclopsd-upload-* || exit 1
f=$data/bin/cyclopsd-upload-$id
cat > "$f" && chmod 700 "$f" || { rm -f "$f"; exit 1; }
printf 'cyclops.digest=%s\n' "$(sha256 "$f")"
printf 'cyclops.version=%s\n' "$("$f" version 2>&1 | head -n 1)"
`

// switchScript ends the daemon, whose jobs go on, before the next one becomes current; and once more
// behind that: whoever watches the host may have started it again in between.
const switchScript = `cd "$data/bin" || exit 1
mv -f "$upload" "$file" && ln -sf "$file" .next || exit 1
if [ -x current ]; then ./current stop --data "$data" || :; fi
mv -f .next current && { ./current stop --data "$data" || :; }`

// pruneScript removes the versions that no process runs any more.
const pruneScript = `cd "$data/bin" || exit 1
d=$(pwd -P)
for f in cyclopsd-*; do
  [ "$f" = "$(readlink current)" ] || ls -l /proc/[0-9]*/exe 2>/dev/null | grep -qF " $d/$f" || rm -f "$f"
done
:`

var versionPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,80}$`)

// put uploads b beside the others and returns its version and the name it has for now.
func put(ctx context.Context, c *connect.Conn, b *binary) (version, upload string, err error) {
	id := strings.ToLower(rand.Text()[:12])
	upload = "cyclopsd-upload-" + id
	r, err := c.Exec(ctx, script(c, putScript, "id", id), bytes.NewReader(b.data))
	if err != nil {
		return "", "", err
	}
	if r.Code != 0 {
		return "", "", api.Errorf(api.NoSpace, "cyclops doctor "+c.Host().Name, "unable to upload the executor to %s: %s", c.Host().Name, firstLine(r))
	}
	digest, version := field(r, "digest"), field(r, "version")
	if digest == "" {
		if digest, err = readBack(ctx, c, upload); err != nil {
			return "", "", err
		}
	}
	if digest != b.digest {
		return "", "", api.Errorf(api.Corrupt, "try again", "the executor arrived on %s as %s, it was sent as %s", c.Host().Name, digest, b.digest)
	}
	if !versionPattern.MatchString(version) {
		return "", "", api.Errorf(api.NoExecutor, "--binary FILE names another", "the executor does not run on %s: %q", c.Host().Name, version)
	}
	return version, upload, nil
}

func field(r connect.ExecResult, key string) string {
	for line := range strings.Lines(string(r.Stdout)) {
		if value, ok := strings.CutPrefix(line, "cyclops."+key+"="); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// fileName is the executor's name on the host. Builds that are no release share a version, so
// theirs carries the digest too.
func fileName(version, digest string) string {
	name := "cyclopsd-" + version
	if !regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+$`).MatchString(version) {
		name += "-" + digest[:8]
	}
	return name
}

// script is a command for the host's /bin/sh that knows data, sha256 and the variables given.
func script(c *connect.Conn, body string, variables ...string) string {
	text := dataLine(c.Host()) + `case $data in "~/"*) data=$HOME/${data#"~/"};; esac` + "\n" + digestFunction
	for i := 0; i < len(variables); i += 2 {
		text += variables[i] + "=" + connect.Quote(variables[i+1]) + "\n"
	}
	return connect.Shell(text + body)
}

// run runs a script that says nothing when it goes well.
func run(ctx context.Context, c *connect.Conn, body string, variables ...string) error {
	r, err := c.Exec(ctx, script(c, body, variables...), nil)
	if err != nil {
		return err
	}
	if r.Code != 0 {
		return api.Errorf(api.Internal, "", "unable to change %s: %s", c.Host().Name, firstLine(r))
	}
	return nil
}
