//! What a person does to a table, whether on the command line or in the console: the same checks, the same audit rows. A person
//! asks no policy. Must not depend on printing, HTML, MCP.
