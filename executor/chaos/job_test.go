//go:build failpoints && linux

package chaos

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// tool is what every job runs. It notes in the ledger, which lies outside of everything that Cyclops
// owns, that it runs and that it ended; what it says and makes can be told from its arguments.
const tool = `ledger=$1 name=$2 lines=$3 hold=$4 bytes=$5 code=$6
echo "started $name $CYCLOPS_JOB $$" >>"$ledger"
[ "$(cat in/mark)" = "$name" ] || { echo "damaged $name $CYCLOPS_JOB $$" >>"$ledger"; exit 99; }
say() { while [ $i -lt $1 ]; do echo "$name says $i abcdefghijklmnopqrstuvwxyz"; i=$((i+1)); done; }
i=0; say $((lines/2))
case $hold in
/*) while [ ! -e "$hold" ]; do sleep 0.03; done ;;
0) ;;
*) sleep $hold ;;
esac
say $lines
mkdir -p out
i=0; while [ $i -lt $lines ]; do echo "$name made $i"; i=$((i+1)); done >"out/$name.txt"
[ $bytes = 0 ] || yes "$name" | head -c $bytes >"out/$name.big"
echo "ended $name $CYCLOPS_JOB $$" >>"$ledger"
exit $code
`

// told is a job, and what its user was told of it.
type told struct {
	name  string
	lines int
	hold  string // seconds, or the path of a file that is waited for
	bytes int
	code  int
	tree  string
	other bool // it runs something else than tool

	id        string // as it was printed
	accepted  bool   // the user was told that the host has it
	cancelled bool   // the user may have asked for that
	withdrawn bool   // and was told that it is done, before the job could start
	removed   bool   // the user may have asked for that
	gone      bool   // and was told that it is done
	retryOf   string
	run       *result // of cyclops run
}

// says is what the job's log must begin with, or be.
func (j *told) says() string {
	var b strings.Builder
	for i := range j.lines {
		fmt.Fprintf(&b, "%s says %d abcdefghijklmnopqrstuvwxyz\n", j.name, i)
	}
	return b.String()
}

// makes is what its outputs must hold, by path.
func (j *told) makes() map[string]string {
	var b strings.Builder
	for i := range j.lines {
		fmt.Fprintf(&b, "%s made %d\n", j.name, i)
	}
	all := map[string]string{"out/" + j.name + ".txt": b.String()}
	if j.bytes > 0 {
		all["out/"+j.name+".big"] = strings.Repeat(j.name+"\n", j.bytes/(len(j.name)+1)+1)[:j.bytes]
	}
	return all
}

// argv is what Cyclops is given to run.
func (j *told) argv(ledger string) []string {
	hold := j.hold
	if hold == "" {
		hold = "0"
	}
	return []string{"sh", "tool.sh", ledger, j.name, strconv.Itoa(j.lines), hold, strconv.Itoa(j.bytes), strconv.Itoa(j.code)}
}

// tree returns the user's tree number n, which is made when it is first asked for.
func (w *world) tree(n int) string {
	dir := filepath.Join(w.dir, fmt.Sprintf("tree%d", n))
	if _, err := os.Stat(filepath.Join(dir, "tool.sh")); err == nil {
		return dir
	}
	w.write(dir, "cyclops.toml", fmt.Sprintf("name = \"tree%d\"\n", n))
	w.write(dir, "tool.sh", tool)
	return dir
}

func (w *world) write(tree, name, text string) {
	path := filepath.Join(tree, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		w.wrong("unable to write the tree: %v", err)
	}
}

// gate returns a path that a job can wait for; open lets it go on.
func (w *world) gate(name string) string {
	path := filepath.Join(w.dir, "gates", name)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gates = append(w.gates, path)
	return path
}

func (w *world) openGates() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, path := range w.gates {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			w.problems = append(w.problems, err.Error())
		}
	}
}

// job notes a job before anything is asked for.
func (w *world) job(j told) *told {
	if j.tree == "" {
		j.tree = w.tree(0)
	}
	if j.lines == 0 {
		j.lines = 40
	}
	w.write(j.tree, "in/mark", j.name+"\n")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.jobs = append(w.jobs, &j)
	return &j
}

// startRun starts cyclops run of a job.
func (w *world) startRun(j *told, armed string, flags ...string) *command {
	args := append([]string{"run", "--name", j.name, "--output", "out/" + j.name + ".*"}, flags...)
	return w.start(j.tree, armed, append(append(args, "--"), j.argv(w.ledger)...)...)
}

// ran takes in what run told.
func (w *world) ran(j *told, r *result) *result {
	w.mu.Lock()
	defer w.mu.Unlock()
	j.run = r
	j.accepted = j.accepted || r.stdout != ""
	return r
}

func (w *world) run(j *told, armed string, flags ...string) *result {
	return w.ran(j, w.startRun(j, armed, flags...).finish())
}

// submit submits a job and takes in its id.
func (w *world) submit(j *told, armed string, flags ...string) *result {
	args := append([]string{"submit", "--name", j.name, "--output", "out/" + j.name + ".*"}, flags...)
	r := w.start(j.tree, armed, append(append(args, "--"), j.argv(w.ledger)...)...).finish()
	w.mu.Lock()
	defer w.mu.Unlock()
	if id := strings.TrimSpace(r.stdout); id != "" {
		j.id, j.accepted = id, true
	}
	return r
}

// deed is what the ledger says of one job.
type deed struct{ started, ended, damaged int }

// deeds reads the ledger, by the ids of jobs.
func (w *world) deeds() map[string]*deed {
	all := map[string]*deed{}
	data, _ := os.ReadFile(w.ledger)
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) != 4 {
			w.wrong("the ledger has %q", line)
			continue
		}
		if all[f[2]] == nil {
			all[f[2]] = &deed{}
		}
		switch f[0] {
		case "started":
			all[f[2]].started++
		case "ended":
			all[f[2]].ended++
		case "damaged":
			all[f[2]].damaged++
		}
	}
	return all
}

// reached waits until the tool of a job runs.
func (w *world) reached(j *told) bool {
	return eventually(patience/3, func() bool {
		data, _ := os.ReadFile(w.ledger)
		return strings.Contains(string(data), "started "+j.name+" ")
	})
}
