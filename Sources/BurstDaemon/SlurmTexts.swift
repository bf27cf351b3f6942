package import BurstEngine
package import BurstWire

/// The texts of Slurm's commands, made of the engine's state.
package struct SlurmTexts: Texts {
    package init() {}

    package func show(_ show: Show, _ view: EngineView) throws(Refusal) -> [UInt8] {
        let text = EngineText(view.engine, at: view.at, for: view.caller)
        switch show {
        case .burst(let oneLine, let verbose): return text.showBurst(oneLine: oneLine, verbose: verbose)
        case .jobs(let id, let oneLine): return try text.showJobs(id: id, oneLine: oneLine)
        case .reservations(let name, let oneLine): return text.showReservations(name: name, oneLine: oneLine)
        case .config: return text.showConfig()
        case .queue(let queue): return try text.queue(Self.query(queue))
        // The hook answers it, through the engine.
        case .status: throw Refusal(code: 0, text: "the status hook is asked by an event")
        }
    }

    private static func query(_ queue: Show.Queue) -> QueueQuery {
        var query = QueueQuery()
        query.format = queue.format
        query.fields = queue.fields
        query.hasHeader = queue.header
        query.jobs = queue.jobs
        query.users = queue.users
        query.states = queue.states
        query.partitions = queue.partitions
        query.names = queue.names
        query.accounts = queue.accounts
        query.sort = queue.sort
        query.arrayElements = queue.arrayElements
        query.isLong = queue.long
        return query
    }
}
