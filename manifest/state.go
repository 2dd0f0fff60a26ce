package manifest

// State says where a job is in its life.
type State string

// The states of a job. Lost means that the outcome is not known; the reason says why.
const (
	Queued    State = "queued"
	Running   State = "running"
	Succeeded State = "succeeded"
	Failed    State = "failed"
	Cancelled State = "cancelled"
	TimedOut  State = "timed-out"
	Lost      State = "lost"
)

// States lists every state in the order of a job's life.
var States = []State{Queued, Running, Succeeded, Failed, Cancelled, TimedOut, Lost}

// Ended tells whether the job will never change its state again.
func (s State) Ended() bool {
	switch s {
	case Succeeded, Failed, Cancelled, TimedOut, Lost:
		return true
	}
	return false
}
