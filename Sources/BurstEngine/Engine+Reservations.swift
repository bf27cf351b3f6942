import BurstModel

/// Reservations that set pool space aside. Slurm takes any text and ignores it for lua (spec §6.5; §10, Q16): here it
/// is read, checked, and holds.
extension Engine {
    package static let reservationsMax = 1000

    /// What `lua:pool3:2,pool1:3GB` sets aside of each pool.
    /// - Parameter defaultPool: datawarp's, for an item that names none.
    package static func space(
        _ text: String, defaultPool: String? = nil
    ) throws(SizeFault) -> [BufferWork.Request] {
        var space: [BufferWork.Request] = []
        for item in text.split(separator: ",") {
            var parts = item.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            if let first = parts.first,
                BurstPlugin.allCases.contains(where: { first == $0.rawValue || first == $0.fullName })
            {
                parts.removeFirst()
            }
            if let defaultPool, parts.count == 1 { parts.insert(defaultPool, at: 0) }
            guard parts.count == 2, !parts[0].isEmpty else {
                throw SizeFault(description: "BurstBuffer=\(item): names no pool and size: write lua:POOL:SIZE")
            }
            space.append(BufferWork.Request(pool: parts[0], size: try SizeText.read(parts[1])))
        }
        return space
    }

    /// What others' reservations that overlap the job's expected run keep of a pool.
    func reservedSpace(of pool: String, against job: EngineJob) -> UInt64 {
        guard !reservations.isEmpty else { return 0 }
        var reserved: UInt64 = 0
        for reservation in reservations.values where reservation.name != job.reservation {
            let start = job.start ?? job.submitted
            let end = start.adding(seconds: job.timeLimitMinutes.map { Int($0) * 60 } ?? 365 * 86400)
            guard reservation.start < end, reservation.end > start else { continue }
            guard let space = try? Self.space(reservation.burstBuffer, defaultPool: defaultPool) else { continue }
            let kept = space.filter { $0.pool == pool }.reduce(UInt64(0)) { $0 + $1.size }
            // What its own jobs use already is no longer kept free.
            let used = jobs.values.filter { $0.reservation == reservation.name && $0.buffer?.created != nil }
                .flatMap { $0.buffer?.charges ?? [] }.filter { $0.pool == pool }.reduce(UInt64(0)) { $0 + $1.size }
            reserved += kept > used ? kept - used : 0
        }
        return reserved
    }

    mutating func reserve(_ command: ReservationCommand, by caller: Caller, _ request: RequestID, at now: Timestamp) {
        func refuse(_ error: SlurmError, _ notes: [String] = []) {
            reply(request, .refused(Refusal(error), notes: notes))
        }
        guard caller.isOperator else { return refuse(.accessDenied) }
        switch command {
        case .create(let name, let users, let start, let end, let text, let flags):
            guard reservations.count < Self.reservationsMax else { return refuse(.reservationInvalid) }
            guard start < end else { return refuse(.invalidTimeValue) }
            if let fault = fault(in: text) { return refuse(.invalidBurstBufferRequest, [fault]) }
            let name = name ?? freeReservationName(users.first ?? "resv")
            guard reservations[name] == nil else { return refuse(.reservationInvalid, ["\(name) exists already"]) }
            var reservation = EngineReservation(
                name: name, users: users, start: start, end: end, burstBuffer: text)
            reservation.flags = flags
            reservations[name] = reservation
            out.records.append(.reservation(reservation))
            reply(request, .reserved(name))
        case .update(let name, let users, let text, let end):
            guard var reservation = reservations[name] else { return refuse(.reservationInvalid) }
            if let text {
                if let fault = fault(in: text) { return refuse(.invalidBurstBufferRequest, [fault]) }
                reservation.burstBuffer = text
            }
            if let users { reservation.users = users }
            if let end { reservation.end = end }
            reservations[name] = reservation
            out.records.append(.reservation(reservation))
            reply(request, .reserved(name))
        case .delete(let name):
            guard reservations.removeValue(forKey: name) != nil else { return refuse(.reservationInvalid) }
            out.records.append(.forgetReservation(name))
            for job in jobs.values where job.reservation == name && job.state.isFinal {
                change(job.id, at: now) { $0.reservation = nil }
            }
            reply(request, .reserved(name))
        }
        wantPass(at: now)
    }

    private func freeReservationName(_ user: String) -> String {
        var number = 1
        while reservations["\(user)_\(number)"] != nil { number += 1 }
        return "\(user)_\(number)"
    }

    private func fault(in text: String) -> String? {
        do throws(SizeFault) {
            for item in try Self.space(text, defaultPool: defaultPool)
            where !pools.contains(where: { $0.name == item.pool }) {
                return "BurstBuffer=\(text): no pool \(item.pool) is known"
            }
            return nil
        } catch { return error.description }
    }
}
