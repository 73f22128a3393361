// The types of @fastify/flash name those of @fastify/secure-session, which would type request.session if they were found.
export interface SessionData {}
