//go:build failpoints && linux

package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/daemon"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// twins has two clients submit the same job under the same id at the same time, as one whose answer was
// lost does, and then another job under that id: the first is one job, the second is refused.
func (u *user) twins() {
	u.count++
	name, id := fmt.Sprintf("twin%dx%d", u.number, u.count), manifest.NewID()
	job := func(command string) []byte {
		doc, err := json.Marshal(&manifest.Job{
			SchemaVersion: manifest.JobVersion, MediaType: manifest.JobMediaType, ID: id, Name: name, Created: time.Now(),
			Steps:     []manifest.Step{{Run: fmt.Sprintf(`echo "started %s $CYCLOPS_JOB $$" >>%s; %s`, name, u.ledger, command)}},
			Workspace: manifest.Workspace{Name: name, Mode: manifest.Isolated},
		})
		if err != nil {
			u.wrong("%v", err)
		}
		return doc
	}
	same, other := job("true"), job("exit 3")
	j := &told{name: name, id: id, other: true}
	u.mu.Lock()
	u.world.jobs = append(u.world.jobs, j)
	u.mu.Unlock()
	var accepted [2]bool
	var both sync.WaitGroup
	for i := range accepted {
		both.Go(func() { accepted[i] = u.offer(same) })
	}
	both.Wait()
	one := accepted[0] || accepted[1]
	another := u.offer(other)
	if one && another {
		u.wrong("two jobs were accepted under the id %s", id)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	j.accepted = one || another
}

// offer submits a document as it is, and tells whether it was accepted. The executor may be gone before
// it says.
func (u *user) offer(doc []byte) bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := daemon.Dial(ctx, u.data)
	if err != nil {
		return false
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: %s\r\n%s: 1\r\n\r\n", api.PathStream, api.UpgradeProtocol, api.HeaderVersion)
	if api.NewFrameWriter(conn).JSON(api.FrameSubmit, api.Submit{Job: doc}) != nil {
		return false
	}
	r := bufio.NewReader(conn)
	response, err := http.ReadResponse(r, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		return false
	}
	for {
		f, err := api.ReadFrame(r, nil)
		if err != nil || f.Type == api.FrameError {
			return false
		}
		if f.Type == api.FrameAccepted {
			return true
		}
	}
}
