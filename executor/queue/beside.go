package queue

// AddBeside tells of a job that runs in the workspace of another: it takes no slot, no resource
// and no turn, so that it starts however busy the host is, but others may come after it.
func (q *Queue) AddBeside(id string) { q.beside[id] = true }

// Leave has a running job give back what it holds. It is not done: what comes after it goes on waiting.
func (q *Queue) Leave(id string) {
	if q.free(id) != nil {
		q.beside[id] = true
	}
}

// live tells whether a job waits or runs.
func (q *Queue) live(id string) bool {
	return q.waiting[id] != nil || q.running[id] != nil || q.beside[id]
}
