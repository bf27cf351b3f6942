package import BurstEngine
package import BurstWire

/// Texts as Slurm's commands print them.
package struct EngineTexts: Texts {
    package init() {}

    package func show(_ show: Show, _ view: EngineView) throws(Refusal) -> [UInt8] {
        let text = EngineText(view.engine, at: view.at, for: view.caller)
        switch show {
        case .burst(let oneLine, let verbose): return text.showBurst(oneLine: oneLine, verbose: verbose)
        case .jobs(let id, let oneLine): return try text.showJobs(id: id, oneLine: oneLine)
        case .reservations(let name, let oneLine): return text.showReservations(name: name, oneLine: oneLine)
        case .config: return text.showConfig()
        // A hook answers it: see `DriverLoop`.
        case .status: return []
        case .queue(let asked):
            var query = QueueQuery()
            query.format = asked.format
            query.fields = asked.fields
            query.hasHeader = asked.header
            query.jobs = asked.jobs
            query.users = asked.users
            query.states = asked.states
            query.partitions = asked.partitions
            query.names = asked.names
            query.accounts = asked.accounts
            query.sort = asked.sort
            query.arrayElements = asked.arrayElements
            query.isLong = asked.long
            return try text.queue(query)
        }
    }
}
