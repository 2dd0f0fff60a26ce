package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
	"github.com/cyclops-fpga/cyclops/remote/carry"
	"github.com/cyclops-fpga/cyclops/remote/retry"
	"github.com/cyclops-fpga/cyclops/remote/ship"
)

// Carrier is an Exchanger that also carries bulk bytes.
type Carrier interface {
	Exchanger
	carry.Opener
}

// Shipment is a job with what its host lacks to run it.
type Shipment struct {
	Job    *manifest.Job
	Plan   *ship.Plan // nil: the job has no inputs
	Memory *ship.Memory
	Data   string                         // the executor's data directory, from Hello
	Follow *api.Follow                    // nil: detached
	Sent   func(done, total int64)        // bytes of content, before compression; may be nil
	Cost   func(objects int, bytes int64) // what a round sends, before it does; may be nil

	Patience *retry.Patience // of the whole command; nil: the first broken line is the end
}

// lastWord is how long a submit that is given up waits for the host's answer.
const lastWord = 5 * time.Second

// rounds is how often a host may say that something is missing before that is called its fault.
const rounds = 4

// uploadChannels is how many SFTP channels carry one pack: the window of one limits it on long lines.
const uploadChannels = 2

// Submit ships and submits a job, and returns the session that follows it once it is accepted.
// What a broken line leaves unanswered is sent again: the host knows the job by its id, and
// answers Accepted.Again. A *ship.ChangedError means that the tree must be scanned again.
func (c *Client) Submit(ctx context.Context, carrier Carrier, s Shipment) (*Session, error) {
	job, err := json.Marshal(s.Job)
	if err != nil {
		return nil, fmt.Errorf("unable to write job: %w", err)
	}
	if s.Data != "" {
		s.Patience.Alive() // it is from its Hello
	}
	sub := &submission{Shipment: s, client: c, carrier: carrier, request: api.Submit{Job: job, Follow: s.Follow}}
	session, err := sub.run(ctx)
	if err != nil {
		sub.hangUp()
	}
	return session, err
}

// submission is a Submit under way.
type submission struct {
	Shipment
	client  *Client
	carrier Carrier
	session *Session
	request api.Submit
}

func (s *submission) run(ctx context.Context) (*Session, error) {
	for range rounds {
		missing, err := s.round(ctx)
		if err != nil {
			return nil, err
		}
		if missing == nil {
			s.acknowledge()
			return s.session, nil
		}
		if s.Plan == nil {
			return nil, api.Errorf(api.Invalid, "", "the host asks for inputs of a job that has none")
		}
		if s.Plan, err = s.Plan.After(*missing, s.Memory); err != nil {
			return nil, err
		}
	}
	return nil, api.Errorf(api.Invalid, "cyclops doctor HOST checks its store", "the host still lacks inputs after %d rounds", rounds)
}

// round sends what is planned and the submit, and returns what is still missing or nil.
func (s *submission) round(ctx context.Context) (missing *api.Missing, err error) {
	var inline []byte
	if err := s.Patience.Do(ctx, func(ctx context.Context) error {
		inline, err = s.pack(ctx)
		return err
	}); err != nil {
		return nil, err
	}
	err = s.Patience.Do(ctx, func(ctx context.Context) error {
		if missing, err = s.exchange(ctx, inline); err != nil {
			s.hangUp()
		}
		return err
	})
	s.request.Uploads = nil // the host has taken them, whatever it answered
	return missing, err
}

func (s *submission) hangUp() {
	if s.session != nil {
		s.session.conn.Close()
		s.session = nil
	}
}

// exchange sends a submit on the session that there is, or on a new one, and reads the answer meanwhile: a
// host that is gone may take bytes for a long time.
func (s *submission) exchange(ctx context.Context, inline []byte) (missing *api.Missing, err error) {
	fresh := s.session == nil
	if fresh {
		if s.session, err = s.client.stream(ctx); err != nil {
			return nil, err
		}
	}
	session := s.session
	// Closed at once the host could have the job and its owner not know: the answer gets a moment.
	answered := make(chan struct{})
	defer close(answered)
	stop := context.AfterFunc(ctx, func() { giveUp(session, answered) })
	defer stop()
	sent := make(chan error, 1)
	go func() {
		err := s.send(inline)
		sent <- err
		if err != nil {
			giveUp(session, answered) // to what was not sent whole there may be no answer
		}
	}()
	defer func() {
		if err != nil {
			session.conn.Close()
		}
		<-sent // what went wrong there, answer has seen too
	}()
	if fresh {
		if err := session.upgrade(); err != nil {
			return nil, session.failure(ctx, contactError(err))
		}
		s.Patience.Alive()
	}
	return s.answer(ctx)
}

func giveUp(session *Session, answered <-chan struct{}) {
	timer := time.NewTimer(lastWord)
	defer timer.Stop()
	select {
	case <-answered:
	case <-timer.C:
		session.conn.Close()
	}
}

// pack makes what the plan sends: bytes to ride inline, or an upload that the request names.
func (s *submission) pack(ctx context.Context) ([]byte, error) {
	s.request.Inline = false
	if s.Plan == nil {
		return nil, nil
	}
	s.request.Bases = s.Plan.Bases
	if !s.Plan.Inline() && s.session == nil {
		if err := s.dedupe(ctx); err != nil {
			return nil, err
		}
	}
	if s.Cost != nil {
		s.Cost(len(s.Plan.Objects), s.Plan.Bytes)
	}
	switch {
	case s.Plan.Empty():
		return nil, nil
	case s.Plan.Inline():
		s.request.Inline = true
		var b bytes.Buffer
		_, _, err := s.Plan.Write(ctx, &b, nil)
		return b.Bytes(), err
	}
	return nil, s.upload(ctx)
}

// dedupe asks what of a large pack the store has from other trees.
func (s *submission) dedupe(ctx context.Context) error {
	var reply api.MissingReply
	request := api.MissingRequest{Job: s.Job.ID, Objects: s.Plan.Sums()}
	if err := s.client.call(ctx, http.MethodPost, api.PathMissing, request, &reply); err != nil {
		return err
	}
	return s.Plan.Keep(reply.Missing)
}

func (s *submission) upload(ctx context.Context) error {
	channels := carry.New(s.carrier, uploadChannels, s.Patience)
	defer channels.Close()
	total := s.Plan.Bytes
	up, err := s.Plan.Upload(ctx, path.Join(s.Data, "incoming"), channels, func(done int64) {
		if s.Sent != nil {
			s.Sent(done, total)
		}
	})
	s.request.Uploads = append(s.request.Uploads, up.Name)
	return err
}

func (s *submission) send(inline []byte) error {
	for s.request.Inline && len(inline) > 0 {
		n := min(len(inline), api.MaxFrame)
		if err := s.session.w.Write(api.FramePack, inline[:n]); err != nil {
			return err
		}
		inline = inline[n:]
	}
	if s.request.Inline {
		if err := s.session.w.Write(api.FramePackEnd); err != nil {
			return err
		}
	}
	return failpoint.Do(failpoint.ClientSubmit, func() error { return s.session.w.JSON(api.FrameSubmit, s.request) })
}

func (s *submission) answer(ctx context.Context) (*api.Missing, error) {
	for {
		f, err := s.session.next(failpoint.ClientAnswer)
		if err != nil {
			return nil, s.session.failure(ctx, err)
		}
		switch f.Type {
		case api.FrameAccepted:
			return nil, s.accepted(f)
		case api.FrameMissing:
			missing := new(api.Missing)
			return missing, f.JSON(missing)
		case api.FrameError:
			return nil, remoteError(f)
		}
	}
}

// accepted makes the session one that follows the job. The host has the input from its begin,
// unless it may have heard this client before.
func (s *submission) accepted(f api.Frame) error {
	if err := f.JSON(&s.session.Accepted); err != nil {
		return err
	}
	s.session.job = s.Job.ID
	s.session.voice = newVoice(s.Follow, 0)
	s.session.fresh = !s.session.Accepted.Again
	return nil
}

// acknowledge remembers what the host has now. That it cannot be remembered costs bytes next
// time and must not fail a job that was accepted.
func (s *submission) acknowledge() {
	if s.Plan != nil {
		_ = s.Memory.Acknowledge(s.Plan.Tree)
	}
}
