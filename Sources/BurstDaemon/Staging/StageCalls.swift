import BurstDataWarp
import BurstModel
import BurstStager
import BurstWire
import Glibc

/// What a client's call means to the stager. Made off the loop: scripts are parsed and names are looked up here.
enum StageCalls {
    /// What is to be done for a call.
    enum Order: Sendable {
        case verb(StagerVerb, isWaiting: Bool)
        /// Answered from what is there.
        case document(SlurmDocument)
        case dwstat(Dwstat)
        case text(StagerAnswer)
    }

    static func read(_ call: StageCall, script: [UInt8]) -> Order {
        do throws(ErrorLine) {
            switch call.program {
            case .dwstat: return try dwstat(call.arguments)
            case .wlm: return try wlm(call, script)
            }
        } catch {
            return .text(.failed(error.text))
        }
    }

    // MARK: dwstat

    private static func dwstat(_ arguments: [String]) throws(ErrorLine) -> Order {
        let request = try DwstatRequest(arguments: arguments)
        if request.isHelp { return .text(StagerAnswer(status: 0, text: DwstatRequest.helpText)) }
        var dwstat = Dwstat()
        switch request.selection {
        case .tables(let tables):
            // One list of names on both sides.
            dwstat.selection = .tables(tables.compactMap { Dwstat.Table(rawValue: $0.rawValue) })
        case .most: dwstat.selection = .most
        case .all: dwstat.selection = .all
        }
        dwstat.isDecimal = request.hasSIUnits
        dwstat.isJSON = request.format == .json
        dwstat.compatibility = Dwstat.Compatibility(rawValue: request.layout.rawValue) ?? .y2017
        return .dwstat(dwstat)
    }

    // MARK: dw_wlm_cli

    private static func wlm(_ call: StageCall, _ script: [UInt8]) throws(ErrorLine) -> Order {
        func verb(_ verb: StagerVerb, isWaiting: Bool = true) -> Order { .verb(verb, isWaiting: isWaiting) }
        switch try StagerCall(arguments: call.arguments) {
        case .help: return .text(StagerAnswer(status: 0, text: StagerCall.helpText))
        case .pools: return .document(.pools)
        case .showConfigurations: return .document(.showConfigurations)
        case .showInstances: return .document(.showInstances)
        case .showSessions: return .document(.showSessions)
        case .jobProcess(let file, let directive):
            guard call.hasScript else { throw ErrorLine("the script cannot be read, so it cannot be checked") }
            return verb(.jobProcess(check(script, file, directive)))
        case .setup(let setup): return verb(.setup(try order(setup, call, script)))
        case .dataIn(let token, _, let waits): return verb(.dataIn(token: token.text), isWaiting: waits)
        case .testDataIn(let token): return verb(.test(token: token.text, .stageIn))
        case .realSize(let token): return verb(.realSize(token: token.text))
        case .paths(let token, _, _): return verb(.paths(token: token.text))
        case .preRun(let token, _, _): return verb(.preRun(token: token.text, nodes: call.nodes))
        case .postRun(let token, _): return verb(.postRun(token: token.text))
        case .dataOut(let token, _, let waits): return verb(.dataOut(token: token.text), isWaiting: waits)
        case .testDataOut(let token): return verb(.test(token: token.text, .stageOut))
        case .teardown(let token, _, let isHurried): return verb(.teardown(token: token.text, hurry: isHurried))
        case .createPersistent(let create): return verb(.createPersistent(try order(create)))
        }
    }

    private static func plan(
        _ script: [UInt8], _ file: ScriptFile, _ directive: String?
    ) throws(ErrorLine) -> (plan: StagePlan?, faults: DirectiveFaults?) {
        let lines =
            if let directive {
                try DirectiveScript(script, isReplaced: file.isReplaced, directive: directive)
            } else {
                try DirectiveScript(script, isReplaced: file.isReplaced)
            }
        do throws(DirectiveFaults) {
            return (try StagePlan.read(lines), nil)
        } catch {
            return (nil, error)
        }
    }

    private static func check(
        _ script: [UInt8], _ file: ScriptFile, _ directive: String?
    ) -> JobCheck {
        do throws(ErrorLine) {
            let (plan, faults) = try plan(script, file, directive)
            guard let plan else { return .refused(faults?.first.text ?? "the script cannot be read") }
            if let text = unserved(plan) { return .refused(text) }
            return .accepted(
                space: try plan.jobBuffers.map { buffer throws(ErrorLine) in try space(buffer, pool: buffer.pool) },
                persistent: plan.attachments.map(\.name.text), owner: nil)
        } catch {
            return .refused(error.text)
        }
    }

    /// What Cray's hardware did and one machine does not.
    private static func unserved(_ plan: StagePlan) -> String? {
        guard let cache = plan.jobBuffers.first(where: { $0.kind == .cache }) else { return nil }
        return "\(plan.place(cache.line)): there is no cache here: write type=scratch, and stage_in what is needed"
    }

    private static func space(_ buffer: StagePlan.JobBuffer, pool: String?) throws(ErrorLine) -> SpaceRequest {
        SpaceRequest(pool: pool ?? "", bytes: buffer.bytes, access: try access(buffer.modes))
    }

    private static func access(_ modes: AccessModes) throws(ErrorLine) -> [StagerSession.AccessMode] {
        var access: [StagerSession.AccessMode] = []
        for mode in modes.choices.map(\.mode) {
            switch mode {
            case .striped: access.append(.striped)
            case .private: access.append(.private)
            case .ldbalance: throw ErrorLine("access_mode=ldbalance is of caches: write striped or private")
            }
        }
        return access
    }

    private static func order(
        _ setup: StagerCall.Setup, _ call: StageCall, _ script: [UInt8]
    ) throws(ErrorLine) -> SetupOrder {
        guard setup.uid != 0 else { throw ErrorLine("root may not use burst buffers: submit as another user") }
        let owner = StagerSession.Owner(
            uid: setup.uid, gid: setup.gid, groups: People.groups(uid: setup.uid, gid: setup.gid))
        let wanted: UInt64
        switch setup.capacity.size {
        case .bytes(let bytes): wanted = bytes
        case .nodes(let count): throw ErrorLine("\(count) nodes of storage are wanted: write capacity= in bytes")
        }
        guard call.hasScript else { throw ErrorLine("the script cannot be read: its directives are not known") }
        let (read, faults) = try plan(script, setup.script, setup.directive)
        guard let plan = read else { throw faults?.first ?? ErrorLine("the script cannot be read") }
        if let text = unserved(plan) { throw ErrorLine(text) }
        var space: [SpaceRequest] = []
        var sum: UInt64 = 0
        for buffer in plan.jobBuffers {
            space.append(try self.space(buffer, pool: buffer.pool ?? setup.capacity.pool))
            sum = sum &+ buffer.bytes
        }
        if let swap = plan.swap, wanted > sum {
            // Slurm has multiplied it by the nodes; how many these are is told to nobody (staging.md §1.5).
            space.append(
                SpaceRequest(pool: swap.pool ?? setup.capacity.pool, bytes: wanted - sum, access: [.swap]))
        }
        if space.isEmpty, wanted > 0 {
            // The words of `--bb` or of Slurm's own, without a line that we know.
            space = [SpaceRequest(pool: setup.capacity.pool, bytes: wanted)]
        }
        return SetupOrder(
            token: "\(setup.job)", owner: owner, space: space, persistent: plan.attachments.map(\.name.text),
            plan: SessionPlan(
                text: plan.text,
                lines: SessionPlan.Lines(stageIn: plan.stageIn.count, stageOut: plan.stageOut.count)))
    }

    private static func order(_ create: StagerCall.Create) throws(ErrorLine) -> CreateOrder {
        guard create.uid != 0 else { throw ErrorLine("root may not own burst buffers: submit as another user") }
        guard create.kind == .scratch else { throw ErrorLine("there is no cache here: write type=scratch") }
        guard case .bytes(let bytes) = create.capacity.size else {
            throw ErrorLine("a persistent buffer has a capacity in bytes")
        }
        let gid = create.gid ?? People().user(uid: create.uid)?.gid
        guard let gid else { throw ErrorLine("user \(create.uid) is not known on this machine") }
        return CreateOrder(
            name: create.name.text,
            owner: StagerSession.Owner(
                uid: create.uid, gid: gid, groups: People.groups(uid: create.uid, gid: gid)),
            space: SpaceRequest(pool: create.capacity.pool, bytes: bytes, access: try access(create.modes)))
    }

    // MARK: Orders of people

    static func read(_ order: StageOrder) -> Order {
        switch order {
        case .retry(let token): return .verb(.retry(token: token), isWaiting: true)
        case .throttle(let token, let bytes, let files):
            return .verb(
                .throttle(token: token, Throttle(bytesPerSecond: bytes, filesPerSecond: files)), isWaiting: true)
        case .access(let name, let everyone, let users, let groups):
            var list = AccessList(everyone: everyone)
            for user in users {
                guard let uid = People().user(named: user)?.uid ?? UInt32(user) else {
                    return .text(.failed("user \(Orders.plain(user)) does not exist on this machine"))
                }
                list.users.insert(uid)
            }
            for group in groups {
                guard let gid = People.gid(named: group) ?? UInt32(group) else {
                    return .text(.failed("group \(Orders.plain(group)) does not exist on this machine"))
                }
                list.groups.insert(gid)
            }
            return .verb(.access(name: name, list), isWaiting: true)
        }
    }
}

extension People {
    /// All groups of a user, the first one included (staging.md §3.1, row 11: copies need every one of them).
    static func groups(uid: UInt32, gid: UInt32) -> Set<UInt32> {
        guard let name = People().user(uid: uid)?.name else { return [gid] }
        var count: Int32 = 64
        while count <= groupsMax {
            var groups = [gid_t](repeating: 0, count: Int(count))
            let room = count
            if getgrouplist(name, gid, &groups, &count) >= 0 {
                return Set(groups.prefix(Int(count))).union([gid])
            }
            count = max(count, room * 2)
        }
        return [gid]
    }

    private static let groupsMax: Int32 = 65_536

    static func gid(named name: String) -> UInt32? {
        var size = 4096
        while size <= 1 << 20 {
            var entry = group()
            var result: UnsafeMutablePointer<group>?
            var buffer = [CChar](repeating: 0, count: size)
            let status = getgrnam_r(name, &entry, &buffer, buffer.count, &result)
            if status != ERANGE { return result.map { $0.pointee.gr_gid } }
            size *= 4
        }
        return nil
    }
}
