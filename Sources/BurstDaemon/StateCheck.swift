import BurstEngine
import BurstModel
import BurstStore

/// A look at the state of a `burstd` that does not run, and its repair: what a damaged row keeps from starting, a
/// question over the socket cannot mend.
package enum StateCheck {
    /// Repairs that uncover something else to repair.
    private static let roundsMax = 3

    /// - Parameters:
    ///   - options: the state folder is `--state`, or what the configuration names.
    ///   - repair: mend what can be mended without losing anything.
    /// - Returns: what was done, and what is wrong, or still is; a line each.
    /// - Throws: one line, where the folder cannot be used or a `burstd` has it; nothing was changed then.
    package static func run(
        _ options: Daemon.Options, repair: Bool
    ) throws(StateFault) -> (done: [String], wrong: [String]) {
        let folder: String
        if let state = options.state {
            folder = state
        } else {
            folder = try ConfigFolder(path: options.config, state: nil).read().engine.stateFolder
        }
        do throws(StoreFault) {
            let store = try Store.open(folder: folder)
            defer { store.close() }
            var found = try store.check(jobFolders: JobFolders.ids(in: folder))
            var done: [String] = []
            // A row that is set aside leaves a folder without a job.
            for _ in 0..<roundsMax where repair && found.contains(where: { $0.repair != nil }) {
                done += try store.repair(found, at: DaemonClock.system.now())
                found = try store.check(jobFolders: JobFolders.ids(in: folder))
            }
            return (done, found.map(\.description))
        } catch {
            throw StateFault(error.description)
        }
    }
}
