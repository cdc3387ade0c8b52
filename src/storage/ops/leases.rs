//! Leases: which poll daemon answers for an agent.

use crate::domain::clock::Millis;
use crate::storage::error::Result;
use crate::storage::tx::{ReadTx, WriteTx};
use crate::storage::value::params;

impl ReadTx<'_> {
    /// Who answers for an agent, and until when, unless renewed.
    pub fn lease(&self, agent_id: i64) -> Result<Option<(String, Millis)>> {
        self.one("SELECT holder, expires_at FROM leases WHERE agent_id = ?1", [agent_id], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
    }
}

impl WriteTx<'_> {
    /// Takes or renews the lease of an agent. `displace` names a holder known to be dead, whose lease may be
    /// taken before it runs out. False when another holds it.
    pub fn take_lease(
        &self,
        agent_id: i64,
        holder: &str,
        displace: Option<&str>,
        until: Millis,
        now: Millis,
    ) -> Result<bool> {
        let taken = self.execute(
            "INSERT INTO leases (agent_id, holder, expires_at, renewed_at) VALUES (?1, ?2, ?3, ?5)
             ON CONFLICT (agent_id) DO UPDATE SET holder = ?2, expires_at = ?3, renewed_at = ?5
              WHERE holder = ?2 OR holder = ?4 OR expires_at <= ?5",
            params![agent_id, holder, until, displace, now],
        )?;
        Ok(taken == 1)
    }

    /// Gives a lease up, so that the next daemon need not wait for it to run out.
    pub fn release_lease(&self, agent_id: i64, holder: &str) -> Result<()> {
        self.execute("DELETE FROM leases WHERE agent_id = ?1 AND holder = ?2", params![agent_id, holder])?;
        Ok(())
    }
}
