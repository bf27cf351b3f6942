/// Takes in what only the engine itself can tell: when a buffer's state began.
extension Watch {
    /// Sets the ages of rows to what they are. A later change that is seen counts from when it was seen, until this is
    /// called again.
    /// - Parameter since: by job, since when its buffer's state is what the newest replies say.
    package mutating func take(exact since: [JobID: Timestamp], at: Timestamp) {
        var isNew = false
        func set(_ known: inout Timestamp, _ exact: Timestamp) {
            if known != exact {
                known = exact
                isNew = true
            }
        }
        guard !since.isEmpty else { return }
        for index in rows.indices where !rows[index].isPersistent {
            guard let exact = since[JobID(rows[index].job)] else { continue }
            set(&rows[index].since, exact)
            if !rows[index].sinceSeen {
                rows[index].sinceSeen = true
                isNew = true
            }
        }
        for index in jobTracks.indices {
            guard let exact = since[JobID(jobTracks[index].id)] else { continue }
            set(&jobTracks[index].since, exact)
            if jobTracks[index].facts.insert(.sinceSeen).inserted { isNew = true }
        }
        guard isNew else { return }
        cache = nil
        judge(at: at)
    }
}
