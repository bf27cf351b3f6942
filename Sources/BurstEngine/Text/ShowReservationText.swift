import BurstModel

extension EngineText {
    /// `scontrol show reservation [NAME]` (spec §8.6).
    package func showReservations(name: String? = nil, oneLine: Bool = false) -> [UInt8] {
        var text = TextBytes(zone: settings.zone, expectedCount: reservations.count * 400 + 64)
        let chosen = reservations.filter { name == nil || $0.name == name }
        if chosen.isEmpty {
            if let name {
                text.add("Reservation ")
                text.add(text: name)
                text.add(" not found\n")
            } else {
                text.add("No reservations in the system\n")
            }
        }
        for reservation in chosen {
            func startLine(_ text: inout TextBytes) {
                if oneLine { text.add(" ") } else { text.add("\n   ") }
            }
            text.add("ReservationName=")
            text.add(text: reservation.name)
            text.add(" StartTime=")
            text.add(time: reservation.start)
            text.add(" EndTime=")
            text.add(time: reservation.end)
            text.add(" Duration=")
            text.add(span: reservation.end.seconds(since: reservation.start))
            startLine(&text)
            text.add("Nodes=(null) NodeCnt=0 CoreCnt=0 Features=(null) PartitionName=(null) Flags=")
            text.add(text: reservation.flags)
            startLine(&text)
            text.add("TRES=(null)")
            startLine(&text)
            text.add("AllowedPartitions=(null) QOS=(null)")
            startLine(&text)
            text.add("Users=")
            text.add(or: "(null)", reservation.users.isEmpty ? nil : reservation.users.joined(separator: ","))
            text.add(" Groups=(null) Accounts=(null) Licenses=(null) State=")
            text.add(reservation.start <= now && now < reservation.end ? "ACTIVE" : "INACTIVE")
            text.add(" BurstBuffer=")
            text.add(or: "(null)", reservation.burstBuffer.isEmpty ? nil : reservation.burstBuffer)
            startLine(&text)
            text.add("MaxStartDelay=(null)")
            text.add(oneLine ? "\n" : "\n\n")
        }
        return text.bytes
    }
}
