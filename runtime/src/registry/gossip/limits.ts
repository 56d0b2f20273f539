/** Maximum size of a datagram; it passes every usual network without fragments. */
export const maxDatagramBytes = 1_400;
/** Maximum size of a message on a stream, such as the whole state of a member. */
export const maxMessageBytes: number = 4 * 1024 * 1024;
/** Maximum number of members that are remembered, dead ones included. */
export const maxMembers = 8_192;
/** Maximum number of ids of former members that are remembered, so that they do not come back. */
export const maxFormerMembers = 65_536;
/** Maximum number of records of one member. */
export const maxRecordsPerMember = 4_096;
/** Maximum size of the records of one member. */
export const maxMemberRecordBytes: number = 1024 * 1024;
/** Maximum size of the records of all members. */
export const maxRecordBytes: number = 64 * 1024 * 1024;
/** Maximum number of members whose records one message asks for. */
export const maxPulledMembers = 512;
